import { closeSync, readdirSync, readFileSync } from "node:fs";

const closeOnExec = 0o2000000;

/**
 * Closes what this process was handed open beyond its input, output and errors, so that no script finds it open. What Node.js opens itself is
 * never handed on, nor what it was handed up to the first gap beyond 15. Call it before anything else. Returns what was closed.
 */
export function closeInherited(): number[] {
  // Started by Node.js as its child, with a channel to it.
  if (process.channel !== undefined) return [];
  const closed: number[] = [];
  for (const name of readdirSync("/proc/self/fd")) {
    const fd = Number(name);
    if (fd <= 2) continue;
    try {
      const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"));
      if (flags === null || (Number.parseInt(flags[1] ?? "", 8) & closeOnExec) !== 0) continue;
      closeSync(fd);
      closed.push(fd);
    } catch {
      // The one that read the folder is gone by now.
    }
  }
  return closed;
}
