import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { Logger } from "pino";
import type { DataFiles } from "./data-files.js";

/** What fits into one line of the log, as in Ambari. */
const chunkLength = 7_900;
/** As much of the end of each stream is logged. */
const mostBytes = 900_000;

/** Copies what a command wrote, the end of it, to the agent's log, passwords masked. Never throws. */
export function logOutput(files: DataFiles, log: Logger): void {
  for (const stream of ["stdout", "stderr"] as const) {
    let text: string;
    try {
      text = maskPasswords(endOf(files[stream]));
    } catch (error) {
      log.warn({ err: error, stream }, "a command's output could not be read for the log");
      continue;
    }
    for (let from = 0; from < text.length; from += chunkLength) {
      log.info({ stream, output: text.slice(from, from + chunkLength) }, "a command's output");
    }
  }
}

function endOf(path: string): string {
  const fd = openSync(path, "r");
  try {
    const { size } = fstatSync(fd);
    const bytes = Buffer.alloc(Math.min(size, mostBytes));
    return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, size - bytes.length)).toString();
  } finally {
    closeSync(fd);
  }
}

/** The values of what is called a password in Python's and JSON's dictionaries, and behind `password=`, are not shown. */
export function maskPasswords(text: string): string {
  return text
    .replace(
      /((["'])[^"'\n]*passw(?:or)?d[^"'\n]*\2\s*:\s*u?)(["'])(?:\\.|(?!\3).)*\3/gi,
      "$1$3[PROTECTED]$3",
    )
    .replace(/(\bpassw(?:or)?d\s*=\s*)[^\s"']+/gi, "$1[PROTECTED]");
}
