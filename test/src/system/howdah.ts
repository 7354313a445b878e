import { spawn } from "node:child_process";
import { join } from "node:path";
import { type Fleet, root } from "./fleet.js";

/** What a howdah command printed, and how it ended. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the howdah command as an operator would, against a fleet's gateway. */
export function howdah({ url, dir }: Pick<Fleet, "url" | "dir">, ...args: string[]): Promise<Ran> {
  const child = spawn(process.execPath, [join(root, "cli", "bin", "howdah.js"), ...args], {
    cwd: dir,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, HOWDAH_SERVER: url },
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code: code ?? 1, stdout, stderr }));
  });
}
