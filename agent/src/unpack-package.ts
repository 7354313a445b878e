import { realpath } from "node:fs/promises";
import { join, posix, sep } from "node:path";
import { extract } from "tar";
import { PackageError } from "./package-error.js";

/** What a package may hold, unpacked. */
export interface PackageLimits {
  /** Default 1 GiB: a package has at most 256 MiB, but may come compressed. */
  readonly bytes?: number;
  /** Default 100,000. */
  readonly entries?: number;
}

const plainTypes = new Set(["File", "OldFile", "Directory"]);

/**
 * Unpacks an archive into an empty folder. One with an entry that would leave it, a link that leads out of it, a hard link, a device, or
 * more than a package may hold, is a PackageError; what came of it by then is for the caller to remove.
 */
export async function unpackPackage(
  digest: string,
  file: string,
  folder: string,
  { bytes: mostBytes = 1 << 30, entries: mostEntries = 100_000 }: PackageLimits = {},
): Promise<void> {
  const links: string[] = [];
  let refused: string | undefined;
  let bytes = 0;
  let entries = 0;
  const isFit = (path: string, type: string, size: number, target: string): boolean => {
    entries += 1;
    bytes += size;
    if (bytes > mostBytes) refused ??= `more than ${mostBytes} bytes`;
    else if (entries > mostEntries) refused ??= `more than ${mostEntries} files`;
    else if (!isInside(path) || (type !== "SymbolicLink" && !plainTypes.has(type))) {
      refused ??= `${JSON.stringify(path)} (${type})`;
    } else if (type === "SymbolicLink") {
      if (target.startsWith("/") || !isInside(posix.join(posix.dirname(path), target))) {
        refused ??= `${JSON.stringify(path)}, a link to ${JSON.stringify(target)}, which is outside`;
      }
      links.push(path);
    }
    return refused === undefined;
  };
  try {
    await extract({
      ...{ file, cwd: folder, strict: true, preserveOwner: false },
      filter: (path, entry) =>
        "type" in entry && isFit(path, entry.type, entry.size, entry.linkpath ?? ""),
    });
  } catch (error) {
    refused ??= `what cannot be unpacked (${(error as Error).message})`;
  }
  // What a link seems to lead to may be otherwise once others stand on its way.
  refused ??= await leadingOut(links, folder);
  if (refused !== undefined) throw new PackageError(`the package ${digest} holds ${refused}`);
}

function isInside(path: string): boolean {
  return !path.startsWith("/") && !posix.normalize(path).split("/").includes("..");
}

/** The first link that leads nowhere, or out of the folder. */
async function leadingOut(links: readonly string[], folder: string): Promise<string | undefined> {
  const root = await realpath(folder);
  for (const link of links) {
    const found = await realpath(join(folder, link)).catch(() => undefined);
    if (found?.startsWith(`${root}${sep}`)) continue;
    return `${JSON.stringify(link)}, a link that leads ${found === undefined ? "nowhere" : "outside"}`;
  }
  return undefined;
}
