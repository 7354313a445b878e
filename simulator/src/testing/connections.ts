import { readFileSync } from "node:fs";

const established = "01";

/** The callers' addresses of all connections to a port of this machine that are established, over IPv4 and IPv6, of whatever process. */
export function connectionsTo(port: number): string[] {
  return ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((file) => callersOf(read(file), port));
}

/** Finds them in the text of the kernel's table, as it writes them. */
export function callersOf(table: string, port: number): string[] {
  const remote = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return table
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , to = "", state]) => to.endsWith(remote) && state === established)
    .map(([, from = ""]) => from);
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // a kernel without IPv6
  }
}
