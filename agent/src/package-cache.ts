import { createHash, randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { extract } from "tar";
import type { AgentFolders } from "./folders.js";
import { isJsonObject, type JsonObject } from "./json.js";

/** Thrown when a package or document is not what its digest says, or cannot be unpacked. */
export class PackageError extends Error {
  override readonly name = "PackageError";
}

/** Reads what has a digest from the server, piece by piece. Waits for a session when there is none. */
export type Fetch = (digest: string, signal: AbortSignal) => AsyncIterable<Uint8Array>;

/** What the agent has of packages and documents, by digest: fetched when it is lacking, verified before it is used. */
export interface PackageCache {
  /** The folder of an unpacked package. */
  folder(digest: string, signal: AbortSignal): Promise<string>;
  /** A document. */
  document(digest: string, signal: AbortSignal): Promise<JsonObject>;
}

const digestForm = /^[0-9a-f]{64}$/;

/** Opens the cache below the agent's folders. What a crash left half-done there is removed. */
export async function openPackageCache(folders: AgentFolders, fetch: Fetch): Promise<PackageCache> {
  const packages = join(folders.cache, "packages");
  const scratch = join(folders.cache, "fetching");
  await rm(scratch, { recursive: true, force: true });
  await mkdir(packages, { recursive: true });
  await mkdir(scratch, { recursive: true });
  const underWay = new Map<string, Promise<void>>();

  /** Fetches once, however many ask for it at the same time. A caller that gives up does not stop the others. */
  async function once(
    path: string,
    signal: AbortSignal,
    make: (signal: AbortSignal) => Promise<void>,
  ) {
    if (await exists(path)) return;
    let making = underWay.get(path);
    if (making === undefined) {
      making = make(signal).finally(() => underWay.delete(path));
      underWay.set(path, making);
    }
    await making;
  }

  async function fetchFile(digest: string, signal: AbortSignal): Promise<string> {
    if (!digestForm.test(digest)) throw new PackageError(`${digest} is no SHA-256 digest`);
    const path = join(scratch, randomUUID());
    const hash = createHash("sha256");
    const pieces = fetch(digest, signal);
    async function* hashed() {
      for await (const piece of pieces) {
        hash.update(piece);
        yield piece;
      }
    }
    try {
      await pipeline(hashed, createWriteStream(path, { mode: 0o600 }), { signal });
      const found = hash.digest("hex");
      if (found !== digest) {
        throw new PackageError(`what the server sent for ${digest} has the digest ${found}`);
      }
      return path;
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
  }

  return {
    async folder(digest, signal) {
      const target = join(packages, digest);
      await once(target, signal, async (signal) => {
        const file = await fetchFile(digest, signal);
        const unpacked = `${file}.d`;
        try {
          await mkdir(unpacked, { mode: 0o755 });
          await unpack(file, unpacked);
          await rename(unpacked, target);
        } finally {
          await rm(file, { force: true });
          await rm(unpacked, { recursive: true, force: true });
        }
      });
      return target;
    },
    async document(digest, signal) {
      const target = join(folders.clusterCache, `${digest}.json`);
      await once(target, signal, async (signal) => {
        await rename(await fetchFile(digest, signal), target);
      });
      const document: unknown = JSON.parse(await readFile(target, "utf8"));
      if (!isJsonObject(document as JsonObject))
        throw new PackageError(`${digest} is no JSON object`);
      return document as JsonObject;
    },
  };
}

/** Unpacks below a folder. An entry that would leave it, or a link or device, fails the whole. */
async function unpack(file: string, folder: string): Promise<void> {
  let refused: string | undefined;
  await extract({
    file,
    cwd: folder,
    strict: true,
    preserveOwner: false,
    filter: (path, entry) => {
      const type = "type" in entry ? entry.type : "File";
      const safe = !path.startsWith("/") && !path.split("/").includes("..");
      const plain = type === "File" || type === "OldFile" || type === "Directory";
      if (!safe || !plain) refused ??= `${path} (${type})`;
      return safe && plain;
    },
  });
  if (refused !== undefined)
    throw new PackageError(`the package holds ${refused}, which is refused`);
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
