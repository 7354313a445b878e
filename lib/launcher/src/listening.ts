import { newLines } from "./log-tail.js";
import { ProcessStartError, type Starting } from "./start-process.js";

/** Where a service listens: "host:port" by the name of the listener, such as "main". */
export type Addresses = Record<string, string>;

/**
 * A check for `readyWhen`: waits for the log line `{"msg":"listening","addresses":{NAME:"host:port"},…}` that every
 * service of Howdah writes once it serves, and resolves with its addresses.
 */
export async function listening(starting: Starting): Promise<Addresses> {
  for await (const line of newLines(starting.logFile, starting.logOffset, starting.signal)) {
    const addresses = addressesOf(line);
    if (addresses) return addresses;
  }
  throw new ProcessStartError("it wrote no line that it listens");
}

function addressesOf(line: string): Addresses | undefined {
  if (!line.includes('"listening"')) return undefined;
  try {
    const entry = JSON.parse(line) as { msg?: unknown; addresses?: unknown };
    if (entry.msg !== "listening" || typeof entry.addresses !== "object" || !entry.addresses)
      return;
    return entry.addresses as Addresses;
  } catch {
    return undefined; // not every line is JSON: Node's own warnings are not
  }
}
