import { open } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

const pollMs = 25;

/** The end of a log, for an error's text: at most `count` lines out of its last 16 KiB, each indented. */
export async function lastLines(logFile: string, count = 15): Promise<string> {
  const file = await open(logFile, "r");
  try {
    const { size } = await file.stat();
    const length = Math.min(size, 16_384);
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
    const lines = buffer.toString("utf8").trimEnd().split("\n").slice(-count);
    return lines.map((line) => `  ${line}`).join("\n");
  } finally {
    await file.close();
  }
}

/**
 * The whole lines a growing log gets from byte `offset` on, until `signal` aborts (which ends the loop quietly).
 * It looks every 25 ms, so it is for starts and tests, not for following a log for ever.
 */
export async function* newLines(
  logFile: string,
  offset: number,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const file = await open(logFile, "r");
  try {
    let position = offset;
    let rest = Buffer.alloc(0);
    const chunk = Buffer.alloc(65_536);
    while (!signal.aborted) {
      const { bytesRead } = await file.read(chunk, 0, chunk.length, position);
      if (bytesRead === 0) {
        await delay(pollMs, undefined, { signal }).catch(() => {});
        continue;
      }
      position += bytesRead;
      rest = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
      let end = rest.indexOf(0x0a);
      while (end >= 0) {
        yield rest.toString("utf8", 0, end);
        rest = rest.subarray(end + 1);
        end = rest.indexOf(0x0a);
      }
    }
  } finally {
    await file.close();
  }
}
