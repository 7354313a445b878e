import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { serviceNodeOptions } from "@howdah/launcher/service-unit";
import { endChild, firstWord } from "../bare/child.js";

/** A message that came: where it begins in the output, how long it is, and when it was there by the wall clock, in ms. */
export type ReadPiece = readonly [offset: number, length: number, atMs: number];

/** What the process of the readers is asked. */
export interface ReaderRequest {
  readonly taskId: string;
}

/** What it answers, once for each request. */
export interface ReaderAnswer {
  readonly taskId: string;
  readonly read?: readonly ReadPiece[];
  readonly failed?: string;
}

/** Readers of output in a process of their own. */
export interface OutputReaders {
  /** Follows a task's standard output to its end. Rejects when that fails, or the process ends. */
  follow(taskId: bigint): Promise<readonly ReadPiece[]>;
  close(): Promise<void>;
}

const program = fileURLToPath(new URL("./output-reader.js", import.meta.url));

/** Starts the process, which is connected to the store of that address then, and reads there until closed or interrupted. */
export async function openOutputReaders(
  address: string,
  interrupted: AbortSignal,
): Promise<OutputReaders> {
  const child = fork(program, [address], {
    // The reader of a store is a gateway.
    execArgv: [...process.execArgv, ...serviceNodeOptions],
  });
  const end = () => endChild(child);
  interrupted.addEventListener("abort", end, { once: true });
  await firstWord(child);
  const waiting = new Map<string, (answer: ReaderAnswer) => void>();
  child.on("message", (answer: ReaderAnswer) => {
    waiting.get(answer.taskId)?.(answer);
    waiting.delete(answer.taskId);
  });
  const gone = "the readers' process has ended";
  child.on("exit", () => {
    for (const [taskId, tell] of waiting) tell({ taskId, failed: gone });
    waiting.clear();
  });
  return {
    async follow(taskId) {
      const key = String(taskId);
      const { read, failed } = await new Promise<ReaderAnswer>((resolve) => {
        if (!child.connected) return resolve({ taskId: key, failed: gone });
        waiting.set(key, resolve);
        child.send({ taskId: key } satisfies ReaderRequest);
      });
      if (read === undefined) throw new Error(`reading the output of task ${taskId}: ${failed}`);
      return read;
    },
    async close() {
      interrupted.removeEventListener("abort", end);
      await end();
    },
  };
}
