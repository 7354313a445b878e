import { newLines } from "./log-tail.js";
import { ProcessStartError, type Starting } from "./start-process.js";

/** Where a service listens: "host:port" by the name of the listener, such as "main". */
export type Addresses = Record<string, string>;

/** For `readyWhen`: waits for the first JSON line of the process's log with this `msg`, and resolves with it. */
export async function logLine(msg: string, starting: Starting): Promise<Record<string, unknown>> {
  for await (const line of newLines(starting.logFile, starting.logOffset, starting.signal)) {
    if (!line.includes(`"${msg}"`)) continue;
    const entry = parse(line);
    if (entry?.msg === msg) return entry;
  }
  throw new ProcessStartError(`it logged no line "${msg}"`);
}

/** For `readyWhen`: waits for the line "listening" that every service of Howdah logs once it serves. */
export async function listening(starting: Starting): Promise<Addresses> {
  const { addresses } = await logLine("listening", starting);
  if (typeof addresses !== "object" || addresses === null) {
    throw new ProcessStartError('its log line "listening" has no addresses');
  }
  return addresses as Addresses;
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined; // not every line is JSON: Node's own warnings are not
  }
}
