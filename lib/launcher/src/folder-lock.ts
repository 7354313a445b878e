import { createHash } from "node:crypto";
import { once } from "node:events";
import { access, constants, mkdir, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";

/** Thrown when a living process already uses the folder. */
export class FolderInUseError extends Error {
  override readonly name = "FolderInUseError";
  constructor(
    folder: string,
    /** The process that uses it, when it has had the time to say so. */
    readonly pid: number | undefined,
  ) {
    const who = pid === undefined ? "another process" : `process ${pid}`;
    super(`${folder} is in use by ${who}: stop that one first, or take another folder`);
  }
}

/** Thrown when the folder cannot be made or written. */
export class FolderUnusableError extends Error {
  override readonly name = "FolderUnusableError";
  constructor(folder: string, cause: NodeJS.ErrnoException) {
    const way = "give this user the right to write there, or take another folder";
    super(`${folder} cannot be made or written (${cause.code}): ${way}`, { cause });
  }
}

/**
 * Makes this process the one owner of a folder, which is made when it is not there, until `release` or its death.
 * Throws `FolderInUseError`, also when this very process has it, and `FolderUnusableError`. `owner.pid` in it tells people who the owner is.
 *
 * The lock is a socket in Linux's abstract namespace, named for the folder: the kernel gives it to one process and takes
 * it back when that dies, however it dies. Processes in containers with networks of their own don't see each other.
 */
export async function lockFolder(folder: string): Promise<{ release(): Promise<void> }> {
  const real = await makeFolder(folder);
  const pidFile = join(real, "owner.pid");
  const name = createHash("sha256").update(real).digest("hex");
  const lock = createServer((socket) => socket.destroy()).listen(`\0howdah-folder-${name}`);
  lock.unref();
  try {
    await once(lock, "listening");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    const pid = Number(await readFile(pidFile, "utf8").catch(() => ""));
    throw new FolderInUseError(folder, pid > 0 ? pid : undefined);
  }
  await writeFile(pidFile, `${process.pid}\n`);
  return {
    async release() {
      if (!lock.listening) return; // by now it may be another's
      await rm(pidFile, { force: true });
      lock.close();
    },
  };
}

/**
 * Makes a folder and those above it. Not by mkdir's own `recursive`: Node 20 never comes back from it where the file system denies
 * the existence of a folder that it will not make, as below /proc.
 */
async function makePath(folder: string): Promise<void> {
  const isThere = await access(folder).then(
    () => true,
    () => false,
  );
  if (isThere) return;
  if (dirname(folder) !== folder) await makePath(dirname(folder));
  await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
}

/** Makes sure of the folder and of the right to write in it; its path without links. */
async function makeFolder(folder: string): Promise<string> {
  try {
    await makePath(folder);
    await access(folder, constants.W_OK | constants.X_OK);
    return await realpath(folder);
  } catch (error) {
    throw new FolderUnusableError(folder, error as NodeJS.ErrnoException);
  }
}
