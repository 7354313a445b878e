import { open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import type { AgentFolders } from "../folders.js";
import type { CommandResult, JournalEntry } from "../journal/entry.js";
import { type DataFiles, dataFiles } from "../run/data-files.js";
import { hasFileNames } from "../run/record-folders.js";
import { readStructuredOutput } from "../run/structured-output.js";
import { headLength, outputPieces, type Piece, pieceAt } from "./output-window.js";

/** The streams of every attempt. */
export const outputStreams = [
  OutputStream.STDOUT,
  OutputStream.STDERR,
  OutputStream.STRUCTURED,
] as const;
/** One of them. */
export type AttemptStream = (typeof outputStreams)[number];

/** What the file is read as when a command left none: not worth storing. */
const noStructuredOutput = "{}";
/** A former attempt's files get other names a moment after the journal says so. */
const movedWithinMs = 100;
const movedLooks = 10;

/** How many bytes a command wrote to a stream. */
export function writtenBytes(result: CommandResult, stream: AttemptStream): number {
  if (stream === OutputStream.STDOUT) return result.stdoutBytes;
  if (stream === OutputStream.STDERR) return result.stderrBytes;
  return result.structuredOutBytes > noStructuredOutput.length ? result.structuredOutBytes : 0;
}

/** What of a stream is stored in the end. */
export function storedPieces(
  result: CommandResult,
  stream: AttemptStream,
  cap: number,
): readonly Piece[] {
  return outputPieces(writtenBytes(result, stream), cap);
}

/** What of an attempt's output is to be read. */
export interface OutputRange {
  readonly stream: AttemptStream;
  /** Counted in what is stored, so the mark counts where something is left out. */
  readonly offset: number;
  readonly most: number;
  readonly cap: number;
}

/**
 * Reads the next bytes to store of a stream; none at its end, or, while the command runs, when there is nothing new.
 *
 * While it runs nobody knows how much it will be, so only what is stored in any case is read. Once it has ended the bytes that its
 * result promises are read whatever became of the file: what somebody cut off is filled up with zeros (structured output with an empty
 * object and spaces), so that the upload can end.
 */
export async function readOutput(
  folders: AgentFolders,
  current: () => JournalEntry,
  range: OutputRange,
): Promise<Buffer> {
  const { stream, offset, most, cap } = range;
  const entry = current();
  /** What was read by a name that meanwhile became another attempt's may be that one's. */
  const renamed = (suffix: string) => current().fileSuffix !== suffix;
  const { result } = entry;
  if (result === null) {
    if (stream === OutputStream.STRUCTURED) return Buffer.alloc(0);
    const to = Math.min(offset + most, headLength(cap));
    if (to <= offset) return Buffer.alloc(0);
    // Until then the files of that name are a former attempt's.
    if (!hasFileNames(folders, entry.key)) return Buffer.alloc(0);
    const path = pathOf(dataFiles(folders, entry.key.taskId, entry.fileSuffix), stream);
    const found = await readRange(path, offset, to);
    if (renamed(entry.fileSuffix)) return readOutput(folders, current, range);
    return found ?? Buffer.alloc(0);
  }
  const piece = pieceAt(storedPieces(result, stream, cap), offset, most);
  if (piece === undefined) return Buffer.alloc(0);
  if (piece.kind === "mark") return piece.bytes;
  const { from, to } = piece;
  for (let look = 1; ; look += 1) {
    const { key, fileSuffix } = current();
    const files = dataFiles(folders, key.taskId, fileSuffix);
    const found =
      stream === OutputStream.STRUCTURED
        ? structuredRange(files, result, from, to)
        : await readRange(pathOf(files, stream), from, to);
    if (renamed(fileSuffix)) continue;
    if (found !== undefined && found.length === to - from) return found;
    if (found === undefined && look < movedLooks) {
      await sleep(movedWithinMs);
      continue;
    }
    return filled(stream, found ?? Buffer.alloc(0), from, to);
  }
}

function filled(stream: AttemptStream, found: Buffer, from: number, to: number): Buffer {
  if (stream !== OutputStream.STRUCTURED) {
    return Buffer.concat([found, Buffer.alloc(to - from - found.length)]);
  }
  return Buffer.from(noStructuredOutput.padEnd(to, " ")).subarray(from, to);
}

/** Undefined when the file does not hold what it held when the command ended. */
function structuredRange(
  files: DataFiles,
  result: CommandResult,
  from: number,
  to: number,
): Buffer | undefined {
  const bytes = Buffer.from(readStructuredOutput(files.structuredOut));
  return bytes.length === result.structuredOutBytes ? bytes.subarray(from, to) : undefined;
}

function pathOf(files: DataFiles, stream: AttemptStream): string {
  return stream === OutputStream.STDOUT ? files.stdout : files.stderr;
}

/** The bytes of a file from `from` up to `to`; fewer when it has fewer, undefined when it is gone. */
async function readRange(path: string, from: number, to: number): Promise<Buffer | undefined> {
  const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    // Most looks at a running command's file find little.
    const { size } = await file.stat();
    const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(to, size) - from));
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, from + length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return buffer.subarray(0, length);
  } finally {
    await file.close();
  }
}
