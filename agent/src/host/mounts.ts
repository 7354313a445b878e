import { readFile } from "node:fs/promises";
import type { BoundedRunner } from "./bounded-run.js";

/** A file system of this host, and where it is mounted. */
export interface Mount {
  readonly device: string;
  readonly type: string;
  readonly mountpoint: string;
  readonly readOnly: boolean;
}

/** How full a file system is; sizes in KiB. */
export interface Usage {
  readonly sizeKb: number;
  readonly usedKb: number;
  /** What processes other than root's may still use. */
  readonly availableKb: number;
  /** As df has it: of what such processes may use, in percent, rounded up. */
  readonly percent: number;
  /** Undefined where the file system does not count inodes. */
  readonly inodesPercent: number | undefined;
}

/** A mount with its usage. */
export type MeasuredMount = Mount & Usage;

/** More no list holds. */
const mostMounts = 200;
/** File systems without a block device of their own that are on this host all the same. */
const localTypes: ReadonlySet<string> = new Set(["overlay", "zfs", "btrfs", "bcachefs", "ubifs"]);
/** Cluster file systems whose devices have local names. */
const remoteTypes: ReadonlySet<string> = new Set(["gpfs", "cifs", "smb3", "fakeowner", "grpcfuse"]);
/** Always full and always read-only, as they should be. */
const imageTypes: ReadonlySet<string> = new Set(["squashfs", "iso9660", "erofs", "cramfs", "udf"]);
/** Where containers have single files mounted, and where no file system is that anybody fills. */
const passedOver = /^\/(?:proc|sys|dev|etc)(?:\/|$)/;

/**
 * The file systems on disks of this host, by mount point, from the text of /proc/self/mountinfo; each once, where most of it is seen.
 * Network file systems and those of the kernel are left out, and nothing is asked of any: that could hang.
 */
export function localMounts(mountinfo: string): Mount[] {
  const found = new Map<string, Mount & { root: string }>();
  for (const line of mountinfo.split("\n")) {
    const [own = "", rest = ""] = line.split(" - ");
    const [, , number = "", root = "", point = "", options = ""] = own.split(" ");
    const [type = "", device = "", superOptions = ""] = rest.split(" ");
    const mountpoint = unescapeOctal(point);
    // A host of containers has one for each of them, all as full as the disk below.
    if (type === "overlay" && mountpoint !== "/") continue;
    if (!isLocal(type, device) || imageTypes.has(type) || passedOver.test(mountpoint)) continue;
    // Each subvolume of a btrfs has a number of its own.
    const key = type === "btrfs" ? device : number;
    const known = found.get(key);
    if (known !== undefined && !isWider({ root, mountpoint }, known)) continue;
    const readOnly = hasOption(options, "ro") || hasOption(superOptions, "ro");
    found.set(key, { device: unescapeOctal(device), type, mountpoint, readOnly, root });
  }
  return [...found.values()]
    .map(({ root: _, ...mount }) => mount)
    .sort((a, b) => (a.mountpoint < b.mountpoint ? -1 : 1))
    .slice(0, mostMounts);
}

/** By what it is mounted from: `//server/share` is Windows' way of naming what is elsewhere. */
function isLocal(type: string, device: string): boolean {
  if (!device.startsWith("/")) return localTypes.has(type);
  return !device.startsWith("//") && !remoteTypes.has(type) && !type.startsWith("fuse");
}

type Seen = { readonly root: string; readonly mountpoint: string };

/** Whether more of the file system is seen there, or the same under a shorter path. */
function isWider(one: Seen, other: Seen): boolean {
  if (one.root.length !== other.root.length) return one.root.length < other.root.length;
  return one.mountpoint.length < other.mountpoint.length;
}

function hasOption(options: string, name: string): boolean {
  return options.split(",").includes(name);
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 8)),
  );
}

const format = "%S %b %f %a %c %d %n";
const withinMs = 10_000;

/**
 * How full the file systems at these paths are, asked of `stat -f` in a process of its own. A path that cannot be asked is left out.
 * Rejects with NoAnswerError when there is no answer within 10 s, as when a disk hangs.
 */
export async function usageOf(
  runner: BoundedRunner,
  paths: readonly string[],
): Promise<Map<string, Usage>> {
  const found = new Map<string, Usage>();
  if (paths.length === 0) return found;
  const text = await runner.run("stat", ["-f", "-c", format, "--", ...paths], withinMs);
  for (const line of text.split("\n")) {
    const [, numbers = "", path = ""] = /^((?:\d+ ){6})(.*)$/.exec(line) ?? [];
    if (path !== "") found.set(path, toUsage(numbers.split(" ").map(Number)));
  }
  return found;
}

function toUsage([
  block = 0,
  blocks = 0,
  free = 0,
  available = 0,
  inodes = 0,
  inodesFree = 0,
]: number[]) {
  const kb = (count: number) => Math.round((count * block) / 1_024);
  const used = blocks - free;
  const usable = used + available;
  return {
    sizeKb: kb(blocks),
    usedKb: kb(used),
    availableKb: kb(available),
    percent: usable > 0 ? Math.ceil((100 * used) / usable) : 0,
    inodesPercent:
      inodes > 0 ? Math.ceil((100 * (inodes - Math.min(inodes, inodesFree))) / inodes) : undefined,
  };
}

/** The host's own file systems and how full they are, and how full the one of `folder` is. Rejects as `usageOf`. */
export async function measureMounts(
  runner: BoundedRunner,
  folder: string,
): Promise<{ mounts: MeasuredMount[]; folder: Usage | undefined }> {
  const mounts = localMounts(await readFile("/proc/self/mountinfo", "utf8"));
  const paths = new Set([folder, ...mounts.map(({ mountpoint }) => mountpoint)]);
  const usage = await usageOf(runner, [...paths]);
  const measured = mounts.flatMap((mount) => {
    const used = usage.get(mount.mountpoint);
    return used === undefined || used.sizeKb === 0 ? [] : [{ ...mount, ...used }];
  });
  return { mounts: measured, folder: usage.get(folder) };
}

/** A mount as Ambari's agents tell it: sizes in KiB, as text. Ours besides: `readonly`, `inodes`. */
export function ambariMount(mount: MeasuredMount): Record<string, string> {
  return {
    device: mount.device,
    type: mount.type,
    mountpoint: mount.mountpoint,
    size: String(mount.sizeKb),
    used: String(mount.usedKb),
    available: String(mount.availableKb),
    percent: `${mount.percent}%`,
    ...(mount.inodesPercent !== undefined && { inodes: `${mount.inodesPercent}%` }),
    ...(mount.readOnly && { readonly: "true" }),
  };
}
