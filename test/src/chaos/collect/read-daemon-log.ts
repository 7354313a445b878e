import { existsSync, readFileSync } from "node:fs";
import type { DaemonLine } from "../check/history.js";

const form = /^(start|end) (\d+) ([\d.]+) (up|down|done)$/;

/** Reads what the START of a host's daemon wrote down; nothing when it never ran. Throws an Error for a line that is none. */
export function readDaemonLog(path: string): DaemonLine[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => {
      const [, kind, pid, uptime, found] = form.exec(line) ?? [];
      if (kind === undefined) throw new Error(`${path}: "${line}" is no line of a daemon's START`);
      return {
        kind: kind === "start" ? "start" : "end",
        pid: Number(pid),
        atMs: Math.round(Number(uptime) * 1_000),
        ...(found === "up" && { wasUp: true }),
      };
    });
}
