import { readFileSync } from "node:fs";

const established = "01";

/** How many connections to a port of this machine are established, over IPv4 and IPv6: sockets of those who connected. */
export function connectionsTo(port: number): number {
  return ["/proc/net/tcp", "/proc/net/tcp6"].reduce(
    (sum, file) => sum + countConnections(read(file), port),
    0,
  );
}

/** Counts them in the text of the kernel's table. */
export function countConnections(table: string, port: number): number {
  const remote = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return table.split("\n").filter((line) => {
    const [, , to = "", state] = line.trim().split(/\s+/);
    return to.endsWith(remote) && state === established;
  }).length;
}

/** How many files a process of this user may have open. */
export function mostOpenFiles(): number {
  const limit = /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  return Number(limit ?? Number.POSITIVE_INFINITY);
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // a kernel without IPv6
  }
}
