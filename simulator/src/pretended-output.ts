import type { AttemptOutput } from "@howdah/agent/connection/attempt-output";
import {
  type AttemptStream,
  type OutputRange,
  storedPieces,
} from "@howdah/agent/connection/output-source";
import { headLength, pieceAt } from "@howdah/agent/connection/output-window";
import type { JournalEntry } from "@howdah/agent/journal/entry";
import { keyText, type TaskKey } from "@howdah/agent/task-key";
import { OutputStream } from "@howdah/proto/howdah/v1/command";

/** What a command that fails says on its standard error. */
export const failureText = "This simulated command was to fail.\n";

const lineBytes = 64;

/** Output of commands that never ran: nothing is kept, every byte follows from the attempt and where it stands. */
export interface PretendedOutput extends AttemptOutput {
  /** An attempt that runs has written so much in all to its standard output. */
  wrote(key: TaskKey, bytes: number): void;
  /** It runs no more. */
  over(key: TaskKey): void;
}

/** Output for any number of agents. */
export function createPretendedOutput(): PretendedOutput {
  const written = new Map<string, number>();
  const followers = new Map<string, (stream: AttemptStream) => void>();
  return {
    wrote(key, bytes) {
      written.set(keyText(key), bytes);
      followers.get(keyText(key))?.(OutputStream.STDOUT);
    },
    over(key) {
      written.delete(keyText(key));
    },
    follow(key, wrote) {
      const text = keyText(key);
      followers.set(text, wrote);
      return () => {
        if (followers.get(text) === wrote) followers.delete(text);
      };
    },
    read: async (current, range) => readNow(current(), range, written),
    readSmall: ({ key }, stream, length) => bytesOf(key, stream, 0, length),
  };
}

function readNow(
  { key, result }: JournalEntry,
  { stream, offset, most, cap }: OutputRange,
  written: ReadonlyMap<string, number>,
): Buffer {
  if (result === null) {
    const there = stream === OutputStream.STDOUT ? (written.get(keyText(key)) ?? 0) : 0;
    return bytesOf(key, stream, offset, Math.min(there, offset + most, headLength(cap)));
  }
  const piece = pieceAt(storedPieces(result, stream, cap), offset, most);
  if (piece === undefined) return Buffer.alloc(0);
  return piece.kind === "mark" ? piece.bytes : bytesOf(key, stream, piece.from, piece.to);
}

/** What an attempt writes, from one byte up to another. */
export function bytesOf(key: TaskKey, stream: AttemptStream, from: number, to: number): Buffer {
  if (to <= from) return Buffer.alloc(0);
  if (stream !== OutputStream.STDOUT) return Buffer.from(failureText).subarray(from, to);
  const first = Math.floor(from / lineBytes);
  const count = Math.ceil(to / lineBytes) - first;
  const head = `task ${key.taskId}, attempt ${key.attempt}, line `;
  // All lines at once, then the number of each, digit by digit: written as text they took longer than all that is done with them afterwards.
  const lines = Buffer.alloc(count * lineBytes, `${head.padEnd(lineBytes - 1, ".")}\n`, "latin1");
  for (let n = 0; n < count; n += 1) writeNumber(lines, n * lineBytes + head.length, first + n + 1);
  const start = from - first * lineBytes;
  return lines.subarray(start, start + to - from);
}

/** Writes a number and a blank behind it. */
function writeNumber(into: Buffer, at: number, value: number): void {
  let end = at + 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) end += 1;
  into[end] = 0x20;
  let rest = value;
  for (let digit = end - 1; digit >= at; digit -= 1) {
    const tens = Math.floor(rest / 10);
    into[digit] = 0x30 + rest - tens * 10;
    rest = tens;
  }
}
