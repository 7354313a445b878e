import { createHash, randomUUID } from "node:crypto";
import { open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  type DescMessage,
  fromJson,
  type JsonValue,
  type MessageShape,
  toJson,
} from "@bufbuild/protobuf";
import type { Logger } from "pino";
import type { AgentFolders } from "../folders.js";

/** What a server of a store said last. */
export interface SaidByStore<T> {
  readonly storeId: string;
  readonly message: T;
}

/** A message of the server that this host goes by while no server is to be reached, also after a restart of the agent. */
export interface Persisted<T> {
  /** What was kept; undefined when there is nothing, or nothing that can be read: the log says so. */
  read(): Promise<SaidByStore<T> | undefined>;
  /** Keeps it in place of the former one. Never rejects: what cannot be kept is logged, and is known until the agent ends. Newest wins. */
  keep(said: SaidByStore<T>): void;
  /** Resolves when everything is on the disk that was to be kept. */
  written(): Promise<void>;
}

/**
 * Keeps the last message of a kind as `cache/cluster_cache/NAME.json`, whole or not at all.
 * @param name such as `alert_definitions`
 */
export function persistedMessage<S extends DescMessage>(
  folders: AgentFolders,
  name: string,
  schema: S,
  log: Logger,
): Persisted<MessageShape<S>> {
  const path = join(folders.clusterCache, `${name}.json`);
  let next: SaidByStore<MessageShape<S>> | undefined;
  let writing: Promise<void> | undefined;

  async function write(): Promise<void> {
    for (let said = next; said !== undefined; said = next) {
      next = undefined;
      const { storeId, message } = said;
      const json = toJson(schema, message) as JsonValue;
      const text = JSON.stringify({ sha256: sha256Of(storeId, json), storeId, message: json });
      await replaceFile(path, `${text}\n`).catch((error: Error) => {
        log.warn({ file: path, reason: error.message }, "what the server said could not be kept");
      });
    }
    writing = undefined;
  }

  return {
    async read() {
      try {
        const { sha256, storeId, message } = JSON.parse(await readFile(path, "utf8")) as {
          sha256: unknown;
          storeId: unknown;
          message: JsonValue;
        };
        if (typeof storeId !== "string") throw new Error("it names no store");
        if (sha256 !== sha256Of(storeId, message)) throw new Error("it is not what was written");
        // A later version of the agent may have written what this one does not know.
        return { storeId, message: fromJson(schema, message, { ignoreUnknownFields: true }) };
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        if (code !== "ENOENT") {
          log.warn({ file: path, reason: message }, "what the server said before cannot be read");
        }
        return undefined;
      }
    },
    keep(said) {
      next = said;
      writing ??= write();
    },
    written: () => writing ?? Promise.resolve(),
  };
}

function sha256Of(storeId: string, message: JsonValue): string {
  return createHash("sha256")
    .update(JSON.stringify([storeId, message]))
    .digest("hex");
}

/** Replaces a file by one rename, its content on the disk before. */
async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}`;
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
