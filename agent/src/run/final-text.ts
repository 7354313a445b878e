import { appendFileSync, closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { Logger } from "pino";
import type { ResultStatus } from "../journal/entry.js";

/** What the closing lines of a command's output depend on. */
export interface Ending {
  readonly status: ResultStatus;
  readonly tries: number;
  /** Why, unless COMPLETED; for ABORTED the cancel's reason. */
  readonly reason: string;
  readonly timeoutMs: number;
  /** What a time-out killed: `Python script`, as Ambari calls each of its own, or `Command`. */
  readonly noun: string;
  /** An operator's own command line: what it printed stays as it is, and only what cut it short is said, as an error. */
  readonly adHoc: boolean;
}

/** Writes the lines that close a command's output and errors, in Ambari's words, once; where they cannot be written the log says so. */
export function closeOutput(
  files: { readonly stdout: string; readonly stderr: string },
  ending: Ending,
  log: Logger,
): void {
  const { stdout, stderr } = finalText(ending);
  try {
    appendOnce(files.stdout, stdout);
    appendOnce(files.stderr, stderr);
  } catch (error) {
    // A full disk cuts the output; the result itself has its room in the journal.
    log.warn({ err: error }, "the output's closing lines could not be written");
  }
}

/** Those lines. */
export function finalText(ending: Ending): { stdout: string; stderr: string } {
  const text = ambarisText(ending);
  return ending.adHoc ? { stdout: "", stderr: text.stderr } : text;
}

function ambarisText(ending: Ending): { stdout: string; stderr: string } {
  const failed = `\n\nCommand failed after ${ending.tries} tries\n`;
  switch (ending.status) {
    case "COMPLETED":
      return { stdout: "\n\nCommand completed successfully!\n", stderr: "" };
    case "ABORTED": {
      const reason = ending.reason === "" ? "" : ` Reason: '${ending.reason}'`;
      const aborted = `\nCommand aborted.${reason}`;
      return { stdout: `${aborted}${failed}`, stderr: aborted };
    }
    case "TIMEDOUT": {
      const seconds = Math.round(ending.timeoutMs / 1000);
      const killed = `\n${ending.noun} has been killed due to timeout after waiting ${seconds} secs`;
      return { stdout: failed, stderr: killed };
    }
    case "INTERRUPTED":
      return { stdout: failed, stderr: `\nCommand interrupted: ${ending.reason}` };
    case "FAILED":
      return { stdout: failed, stderr: ending.reason === "" ? "" : `${ending.reason}\n` };
  }
}

/** Appends, unless the file ends with the text: an agent that died right after it appended does so only once. */
export function appendOnce(path: string, text: string): void {
  if (text === "" || endsWith(path, Buffer.from(text))) return;
  appendFileSync(path, text, { mode: 0o600 });
}

function endsWith(path: string, text: Buffer): boolean {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
  try {
    const { size } = fstatSync(fd);
    const end = Buffer.alloc(text.length);
    return (
      size >= text.length &&
      readSync(fd, end, 0, text.length, size - text.length) === text.length &&
      end.equals(text)
    );
  } finally {
    closeSync(fd);
  }
}
