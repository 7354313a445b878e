import { statfsSync } from "node:fs";

const full: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT"]);

/** Whether not a block is left on the disk of a folder for this process. */
export function isDiskFull(folder: string): boolean {
  const { bavail, bfree } = statfsSync(folder);
  // Root may use the blocks that are kept for it.
  return (process.getuid?.() === 0 ? bfree : bavail) === 0;
}

/** What to tell of an error: that of a full disk says which one and what to do, any other its own message. */
export function diskProblem(error: Error, folder: string): string {
  const { code = "" } = error as NodeJS.ErrnoException;
  if (!full.has(code)) return error.message;
  return `no room for the command's files on the disk of ${folder} (${code}): free space there, then retry`;
}

/** The reason of a command's end, and that its output is cut where the disk has no room at that moment. */
export function withCutOutput(reason: string, folder: string): string {
  if (!isDiskFull(folder)) return reason;
  const cut = `the disk of ${folder} is full: what did not fit of its output is missing`;
  return reason === "" ? cut : `${reason}; ${cut}`;
}
