import { createHash, randomUUID } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createUseMarks } from "./clean/use-marks.js";
import type { AgentFolders } from "./folders.js";
import { isJsonObject, type Json, type JsonObject } from "./json.js";
import { PackageError } from "./package-error.js";
import { createSharedWork } from "./shared-work.js";
import { unpackPackage } from "./unpack-package.js";

export { PackageError } from "./package-error.js";

/**
 * Fetches what has a digest into a file, which is replaced, and resolves with the SHA-256 of what came. Waits for a session when there
 * is none. Throws PackageError when it cannot be had.
 */
export type FetchFile = (digest: string, path: string, signal: AbortSignal) => Promise<string>;

/** What the agent has of packages and documents, by digest: fetched when it is lacking, verified before it is used. */
export interface PackageCache {
  /** The folder of an unpacked package. Throws PackageError. */
  folder(digest: string, signal: AbortSignal): Promise<string>;
  /** A document. Throws PackageError. */
  document(digest: string, signal: AbortSignal): Promise<JsonObject>;
}

const digestForm = /^[0-9a-f]{64}$/;

/**
 * Opens the cache below the agent's folders. What a crash left half-done there is removed.
 * @param marks told of each use of a package's folder and a document's file
 */
export async function openPackageCache(
  folders: AgentFolders,
  fetchFile: FetchFile,
  marks = createUseMarks(),
): Promise<PackageCache> {
  const packages = join(folders.cache, "packages");
  const scratch = join(folders.cache, "fetching");
  await rm(scratch, { recursive: true, force: true });
  await mkdir(packages, { recursive: true });
  await mkdir(scratch, { recursive: true, mode: 0o700 });
  const once = createSharedWork();

  /** Fetches into a file of its own, which the caller removes. */
  async function fetch(digest: string, signal: AbortSignal): Promise<string> {
    const path = join(scratch, randomUUID());
    try {
      const found = await fetchFile(digest, path, signal);
      if (found === digest) return path;
      throw new PackageError(`what the server sent for ${digest} has the digest ${found}`);
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
  }

  async function makeFolder(digest: string, target: string, signal: AbortSignal): Promise<void> {
    const file = await fetch(digest, signal);
    const unpacked = `${file}.d`;
    try {
      await mkdir(unpacked, { mode: 0o755 });
      await unpackPackage(digest, file, unpacked);
      // All of it is on disk before it has its name: a power cut must not leave empty files in a package that looks whole.
      await syncTree(unpacked);
      await rename(unpacked, target).catch((error: NodeJS.ErrnoException) => {
        // Somebody who gave up waiting had come so far: theirs is the same.
        if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
      });
      await sync(dirname(target));
    } finally {
      await rm(file, { force: true });
      await rm(unpacked, { recursive: true, force: true });
    }
  }

  return {
    async folder(digest, signal) {
      checkForm(digest);
      const target = join(packages, digest);
      marks.mark(target); // before it is looked for: from here on it is not pruned
      if (!(await exists(target))) {
        await once(target, signal, async (both) => {
          if (!(await exists(target))) await makeFolder(digest, target, both);
        });
        marks.mark(target); // its time is the archive's so far
      }
      return target;
    },
    async document(digest, signal) {
      checkForm(digest);
      const target = join(folders.clusterCache, `${digest}.json`);
      marks.mark(target);
      let bytes = await readIntact(target, digest);
      if (bytes === undefined) {
        await once(target, signal, async (both) => rename(await fetch(digest, both), target));
        bytes = await readFile(target);
      }
      return parse(bytes, digest);
    },
  };
}

function checkForm(digest: string): void {
  if (!digestForm.test(digest)) {
    throw new PackageError(`${JSON.stringify(digest.slice(0, 80))} is no SHA-256 digest`);
  }
}

/** A file's content; undefined when it is not there or is not what it was. */
async function readIntact(path: string, digest: string): Promise<Buffer | undefined> {
  if (!(await exists(path))) return undefined;
  const bytes = await readFile(path);
  return createHash("sha256").update(bytes).digest("hex") === digest ? bytes : undefined;
}

function parse(bytes: Buffer, digest: string): JsonObject {
  let document: Json;
  try {
    document = JSON.parse(bytes.toString()) as Json;
  } catch (error) {
    throw new PackageError(`the document ${digest} is no JSON: ${(error as Error).message}`);
  }
  if (!isJsonObject(document)) throw new PackageError(`the document ${digest} is no JSON object`);
  return document;
}

async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else await sync(path);
  }
  await sync(folder);
}

async function sync(path: string): Promise<void> {
  const file = await open(path, "r");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
