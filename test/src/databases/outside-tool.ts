import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { CannotRunError } from "./engine.js";

const run = promisify(execFile);
const folder = fileURLToPath(new URL("../../../../shared/tools", import.meta.url));

/**
 * A script beside the repository that runs a database on this machine: it installs packages, so it wants root. Gives what it prints,
 * by its lines. Throws `CannotRunError` when there is none or this is not root.
 */
export function outsideTool(name: string): (...args: string[]) => Promise<string[]> {
  const file = join(folder, name);
  if (!existsSync(file)) throw new CannotRunError(`there is no ${file}`);
  if (process.getuid?.() !== 0) throw new CannotRunError(`${name} needs root`);
  return async (...args) => {
    const { stdout } = await run("bash", [file, ...args], { timeout: 600_000 });
    return stdout.trim().split("\n");
  };
}
