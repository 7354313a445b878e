import { closeSync, fstatSync, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import type { DestinationStream } from "pino";

/** When a log file begins anew. */
export interface LogFileOptions {
  readonly maxBytes: number;
  /** Former files, `NAME.1` the latest of them. */
  readonly maxFiles: number;
}

/** A file that log lines are appended to. */
export interface LogFile extends DestinationStream {
  /** Goes on in a new file, should the former one have been moved away. */
  reopen(): void;
  close(): void;
}

/** How often is looked whether somebody else has moved, removed or cut the file. */
const lookMs = 5_000;

/**
 * Opens a log file. It is written at once, line by line, so that nothing is lost with the process. What cannot be written is dropped and
 * counted, and said as soon as there is room again: a full disk must not end who writes. Moved away by logrotate, it begins anew by
 * itself, and at `reopen`. Throws when it cannot be opened the first time.
 */
export function openLogFile(path: string, { maxBytes, maxFiles }: LogFileOptions): LogFile {
  let fd: number | undefined = openFile();
  let bytes = fstatSync(fd).size;
  let lookedAtMs = performance.now();
  let lost = 0;
  let lastError = "";

  function openFile(): number {
    return openSync(path, "a", 0o640);
  }

  function close(): void {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
  }

  function open(): number {
    fd = openFile();
    bytes = fstatSync(fd).size;
    return fd;
  }

  function rotate(): void {
    close();
    for (let k = maxFiles; k > 0; k -= 1) {
      moveIfThere(k === 1 ? path : `${path}.${k - 1}`, `${path}.${k}`);
    }
    if (maxFiles === 0) rmSync(path, { force: true });
  }

  /** Closes a file that is no longer what its name stands for, and learns the size of one that was cut. */
  function look(): void {
    lookedAtMs = performance.now();
    if (fd === undefined) return;
    const mine = fstatSync(fd);
    const there = statSync(path, { throwIfNoEntry: false });
    if (there?.ino !== mine.ino || there.dev !== mine.dev) close();
    else bytes = mine.size;
  }

  function append(text: string): void {
    const data = Buffer.from(text);
    if (bytes > 0 && bytes + data.length > maxBytes) rotate();
    const to = fd ?? open();
    for (let at = 0; at < data.length; ) at += writeSync(to, data, at);
    bytes += data.length;
  }

  return {
    write(text) {
      try {
        if (performance.now() - lookedAtMs >= lookMs) look();
        if (lost > 0) append(lostLine(lost, lastError));
        lost = 0;
        append(text);
      } catch (error) {
        lost += 1;
        lastError = (error as NodeJS.ErrnoException).code ?? String(error);
      }
    },
    reopen: close,
    close,
  };
}

function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

function lostLine(lines: number, code: string): string {
  const msg = `${lines} lines of this log could not be written (${code})`;
  return `${JSON.stringify({ level: 40, time: Date.now(), service: "agent", msg })}\n`;
}
