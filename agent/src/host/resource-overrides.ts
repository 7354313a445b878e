import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { isJsonObject, type Json, type JsonObject } from "../json.js";

const mostBytes = 16 * 1024;

/**
 * Facts that an operator states, whatever the host says: the objects of all `*.json` files of a folder, in their names' order. What
 * cannot be read is named in the log and passed over.
 */
export async function readOverrides(folder: string, log: Logger): Promise<JsonObject> {
  const facts: Record<string, Json> = {};
  let files: string[] = [];
  try {
    files = (await readdir(folder)).filter((name) => name.endsWith(".json")).sort();
  } catch (error) {
    log.warn({ folder, reason: (error as Error).message }, "no overrides of facts can be read");
  }
  for (const name of files) {
    const file = join(folder, name);
    try {
      const text = await readFile(file, "utf8");
      if (text.length > mostBytes) throw new Error(`is longer than ${mostBytes} characters`);
      const value = JSON.parse(text) as Json;
      if (!isJsonObject(value)) throw new Error("is no JSON object");
      Object.assign(facts, value);
    } catch (error) {
      log.warn({ file, reason: (error as Error).message }, "an override of facts is passed over");
    }
  }
  return facts;
}
