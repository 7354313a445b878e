import { readFileSync } from "node:fs";
import type { ScriptLine } from "../check/history.js";

const start = /^start ([\w-]+):(\d+):(\d+) (\S+) ([\d.]+) \d+$/;
const end = /^end ([\w-]+):(\d+):(\d+) (\S+) ([\d.]+) (\d+) (\d+|\?)$/;

/** Reads what a host's scripts wrote down. Throws an Error for a line that is none: scripts write each at once or not at all. */
export function readScriptLog(host: string, path: string): ScriptLine[] {
  return readFileSync(path, "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => {
      const match = start.exec(line) ?? end.exec(line);
      if (match === null) throw new Error(`${path}: "${line}" is no line of a script`);
      const [, storeId = "", taskId, attempt, step = "", uptime, exitCode, lines] = match;
      return {
        host,
        kind: exitCode === undefined ? "start" : "end",
        storeId,
        taskId: Number(taskId),
        attempt: Number(attempt),
        step,
        atMs: Math.round(Number(uptime) * 1_000),
        ...(exitCode !== undefined && { exitCode: Number(exitCode) }),
        ...(lines !== undefined && lines !== "?" && { lines: Number(lines) }),
      };
    });
}
