import { closeSync, openSync, readSync } from "node:fs";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import type { DataFiles } from "../run/data-files.js";
import { readStructuredOutput } from "../run/structured-output.js";

/** The first `length` bytes of a stream, fewer when the file has fewer, none when it is gone. */
export function readSmallOutput(files: DataFiles, stream: OutputStream, length: number): Buffer {
  if (stream === OutputStream.STRUCTURED) {
    return Buffer.from(readStructuredOutput(files.structuredOut)).subarray(0, length);
  }
  const path = stream === OutputStream.STDOUT ? files.stdout : files.stderr;
  const buffer = Buffer.alloc(length);
  try {
    const file = openSync(path, "r");
    try {
      return buffer.subarray(0, readSync(file, buffer, 0, length, 0));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return Buffer.alloc(0);
    throw error;
  }
}
