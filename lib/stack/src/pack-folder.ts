import { createHash } from "node:crypto";
import { readlink, realpath, stat } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import { create } from "tar";
import { listIfPresent } from "./read-file.js";
import { StackError } from "./stack-error.js";

/** A package: a plain tar and its name. */
export interface Package {
  /** SHA-256 of the bytes, in hex. */
  readonly digest: string;
  readonly bytes: Uint8Array;
}

/**
 * Packs a folder into a plain tar whose bytes depend on names, modes and contents alone: entries sorted, times and owners
 * left out (group and others never get write permission). `*.pyc`, `__pycache__` and hidden version-control folders are
 * left out. Symbolic links are kept if they lead to something inside the folder; others, and anything that is no file,
 * folder or link, are a {@link StackError}.
 */
export async function packFolder(folder: string): Promise<Package> {
  const paths = await listContents(folder, await realpath(folder));
  const chunks: Buffer[] = [];
  // An archive without entries is two blocks of zeros, which tar itself refuses to write.
  if (paths.length === 0) chunks.push(Buffer.alloc(1024));
  else {
    const pack = create(
      {
        cwd: folder,
        portable: true,
        mtime: new Date(0),
        noDirRecurse: true,
        strict: true,
        // A second name of one file is packed as a file: hard links are an accident of the disk.
        linkCache: new ForgetfulMap(),
        // One at a time: tar's own concurrency must not decide the order.
        jobs: 1,
      },
      // tar takes a leading @ for an archive to read.
      paths.map((path) => (path.startsWith("@") ? `./${path}` : path)),
    );
    for await (const chunk of pack) chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  return { digest: createHash("sha256").update(bytes).digest("hex"), bytes };
}

class ForgetfulMap<K, V> extends Map<K, V> {
  override set(): this {
    return this;
  }
}

const leftOut = /^(?:__pycache__|\.git|\.svn|.*\.pyc)$/;

async function listContents(folder: string, root: string, prefix = ""): Promise<string[]> {
  const paths: string[] = [];
  for (const entry of (await listIfPresent(folder)) ?? []) {
    if (leftOut.test(entry.name)) continue;
    const absolute = join(folder, entry.name);
    const path = `${prefix}${entry.name}`;
    if (entry.isSymbolicLink()) await checkLink(absolute, root);
    else if (!entry.isFile() && !entry.isDirectory()) {
      throw new StackError(absolute, "cannot be packed: it is no file, folder or symbolic link");
    }
    paths.push(path);
    if (entry.isDirectory()) paths.push(...(await listContents(absolute, root, `${path}/`)));
  }
  return paths;
}

async function checkLink(link: string, root: string): Promise<void> {
  const target = await readlink(link);
  const inside = (path: string) => path.startsWith(root + sep);
  const written = resolve(await realpath(dirname(link)), target);
  const exists = await stat(link).then(
    () => true,
    () => false,
  );
  if (!target.startsWith("/") && exists && inside(written) && inside(await realpath(link))) return;
  throw new StackError(
    link,
    `cannot be packed: its link ${target} must be relative and lead to something inside the folder`,
  );
}
