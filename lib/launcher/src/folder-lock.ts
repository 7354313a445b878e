import { randomUUID } from "node:crypto";
import { link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { identify, isAlive, parseIdentity } from "./process-identity.js";

/** Thrown when a living process already uses the folder. */
export class FolderInUseError extends Error {
  override readonly name = "FolderInUseError";
  constructor(
    lockFile: string,
    /** The process that uses it. */
    readonly pid: number,
  ) {
    super(
      `${dirname(lockFile)} is in use by process ${pid}: stop that one first, or take another folder`,
    );
  }
}

/**
 * Makes this process the one owner of a folder, until `release` or its death: a lock left by a dead process, or before
 * the last boot, is taken over. Throws `FolderInUseError`; also when this very process holds it.
 */
export async function lockFolder(lockFile: string): Promise<{ release(): Promise<void> }> {
  await mkdir(dirname(lockFile), { recursive: true, mode: 0o700 });
  const mine = `${lockFile}.${randomUUID()}`;
  await writeFile(mine, JSON.stringify(await identify(process.pid)), { mode: 0o600 });
  try {
    while (!(await linkUnlessThere(mine, lockFile))) await removeStale(lockFile);
  } finally {
    await rm(mine, { force: true });
  }
  let held = true;
  return {
    async release() {
      if (!held) return; // by now it may be the lock of the next owner
      held = false;
      await rm(lockFile, { force: true });
    },
  };
}

/** Links are made whole or not at all, so nobody ever reads half a lock. */
async function linkUnlessThere(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

async function removeStale(lockFile: string): Promise<void> {
  await throwIfHeld(lockFile, lockFile);
  // Move it aside and look again: between look and move another may have taken it over.
  const aside = `${lockFile}.${randomUUID()}`;
  try {
    await rename(lockFile, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  try {
    await throwIfHeld(aside, lockFile);
  } catch (error) {
    await linkUnlessThere(aside, lockFile);
    throw error;
  } finally {
    await rm(aside, { force: true });
  }
}

async function throwIfHeld(file: string, lockFile: string): Promise<void> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  const holder = parseIdentity(text);
  if (holder && (await isAlive(holder))) throw new FolderInUseError(lockFile, holder.pid);
}
