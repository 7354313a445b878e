import { readFileSync } from "node:fs";

const atLoad = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1_000;
const origin = performance.now();

/**
 * Milliseconds since the machine's boot. All parts of a run are on one machine, so this one clock, which nobody moves, orders what
 * the load did, what scripts wrote down and what agents' journals say. Good to 10 ms, as /proc/uptime is.
 */
export function uptimeMs(): number {
  return atLoad + performance.now() - origin;
}
