/** Thrown when a stack definition cannot be read; the message is one line that begins with the file, and the line where known. */
export class StackError extends Error {
  override readonly name: string = "StackError";

  constructor(
    /** The file or folder that is wrong. */
    readonly file: string,
    /** What is wrong and what to do. */
    readonly problem: string,
    /** The line in the file, from 1; absent when the whole file is meant. */
    readonly line?: number,
  ) {
    super(`${file}${line === undefined ? "" : `:${line}`}: ${problem}`);
  }
}

/** Thrown when stacks, or common services, extend each other in a circle. */
export class InheritanceCycleError extends StackError {
  override readonly name = "InheritanceCycleError";

  constructor(
    file: string,
    /** The circle in the order of `extends`; the first one is named again at the end. */
    readonly chain: readonly string[],
  ) {
    super(file, `extends itself: ${chain.join(" extends ")}; take one \`extends\` out`);
  }
}
