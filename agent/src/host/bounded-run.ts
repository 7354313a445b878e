import { type ChildProcess, spawn } from "node:child_process";

/** Thrown when a program gave no answer, or none in time; the message is for people. */
export class NoAnswerError extends Error {
  override readonly name = "NoAnswerError";
}

const mostBytes = 256 * 1024;

/**
 * Programs that ask the kernel what may never be answered (a mount whose server is gone, a resolver that is silent): they run out of
 * process, so that nothing of the agent waits with them.
 */
export interface BoundedRunner {
  /**
   * Runs a program and gives its standard output, also when it ended with an exit code other than 0. Rejects with NoAnswerError when there
   * is no such program, when it has not ended in time, and while a former one under the same name still hangs: a process that waits in the
   * kernel cannot be killed, so no second one is put beside it.
   */
  run(program: string, args: readonly string[], withinMs: number): Promise<string>;
}

/** Makes one. */
export function createBoundedRunner(): BoundedRunner {
  const hanging = new Map<string, ChildProcess>();

  return {
    run: (program, args, withinMs) =>
      new Promise((resolve, reject) => {
        if (hanging.has(program)) {
          reject(new NoAnswerError(`${program} has not answered since it was asked before`));
          return;
        }
        const child: ChildProcess = spawn(program, args, {
          stdio: ["ignore", "pipe", "ignore"],
          env: { ...process.env, LC_ALL: "C" },
        });
        // First of all: without a free file descriptor there is a child with nothing but this event, not even a stdout.
        child.on("error", (error: NodeJS.ErrnoException) => {
          clearTimeout(timer);
          reject(new NoAnswerError(`${program} cannot be run (${error.code ?? error.message})`));
        });
        let text = "";
        let late = false;
        const timer = setTimeout(() => {
          late = true;
          hanging.set(program, child);
          child.kill("SIGKILL");
          // One that hangs in the kernel stays until that lets it go; it keeps neither the agent alive nor the pipe open.
          child.stdout?.destroy();
          child.unref();
          reject(new NoAnswerError(`${program} did not answer within ${withinMs} ms`));
        }, withinMs);
        child.stdout?.setEncoding("utf8").on("data", (more: string) => {
          if (text.length < mostBytes) text += more;
        });
        child.on("exit", () => {
          if (hanging.get(program) === child) hanging.delete(program);
        });
        child.on("close", () => {
          clearTimeout(timer);
          if (!late) resolve(text);
        });
      }),
  };
}
