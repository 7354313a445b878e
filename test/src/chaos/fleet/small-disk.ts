import { spawnSync } from "node:child_process";

const sizeMiB = 48;
const reason = "hosts' disks are not filled: a small file system can be mounted by root only";

/** Mounts a small file system of its own on a folder; false, and a word in `skipped`, where that is not allowed. */
export function mountSmallDisk(folder: string, undo: (() => void)[], skipped: string[]): boolean {
  const mount = spawnSync("mount", [
    "-t",
    "tmpfs",
    "-o",
    `size=${sizeMiB}m`,
    "howdah-chaos",
    folder,
  ]);
  if (mount.status !== 0) {
    if (!skipped.includes(reason)) skipped.push(reason);
    return false;
  }
  undo.push(() => spawnSync("umount", ["-l", folder]));
  return true;
}
