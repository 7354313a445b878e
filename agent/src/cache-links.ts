import { randomUUID } from "node:crypto";
import { lstat, mkdir, readlink, rename, rm, rmdir, symlink } from "node:fs/promises";
import { dirname, join, relative } from "node:path";

/** Where Ambari's agent has packages below its cache: by service, and one of each of these. */
const places =
  /^(?:(?:stacks|common-services|extensions)(?:\/[^/]+)+|custom_actions|host_scripts|stack-hooks)$/;

/**
 * Lets scripts find a package where Ambari's agent has it, such as `cache/stacks/S/1.0/services/X/package`: a link to the package that was
 * used last, replaced in one step. A command itself runs from `cache/packages/DIGEST`, which never changes. What is no link is an
 * operator's own and is left alone, as is a path that is none of a package's.
 * @param path below the cache, as the stack names it
 */
export async function linkPackage(cache: string, path: string, folder: string): Promise<void> {
  const inside = path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
  if (!places.test(path) || !inside) return;
  const link = join(cache, path);
  const target = relative(dirname(link), folder);
  if ((await readlink(link).catch(() => undefined)) === target) return;
  if (!(await makeFolders(cache, dirname(path)))) return;
  const there = await lstat(link).catch(() => undefined);
  if (there !== undefined && !there.isSymbolicLink()) {
    // The empty folder that the agent makes at its first start.
    if (!(await isRemoved(link))) return;
  }
  // Where the package cache puts what is not ready yet: it is emptied at the start.
  const scratch = join(cache, "fetching");
  await mkdir(scratch, { recursive: true });
  const made = join(scratch, randomUUID());
  await symlink(target, made);
  try {
    await rename(made, link);
  } catch (error) {
    await rm(made, { force: true });
    throw error;
  }
}

/** Makes the folders on the way; false when something else is in it, such as a link that leads elsewhere. */
async function makeFolders(cache: string, path: string): Promise<boolean> {
  if (path === ".") return true;
  let folder = cache;
  for (const part of path.split("/")) {
    folder = join(folder, part);
    await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    if (!(await lstat(folder)).isDirectory()) return false;
  }
  return true;
}

async function isRemoved(folder: string): Promise<boolean> {
  try {
    await rmdir(folder);
    return true;
  } catch {
    return false;
  }
}
