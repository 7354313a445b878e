import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** Starts a program of the benchmarks as a process, which may talk to this one. `url` as `new URL("./name.js", import.meta.url)`. */
export function startChild(url: URL, ...args: (string | number)[]): ChildProcess {
  return fork(fileURLToPath(url), args.map(String));
}

/** What a child says first, such as its port. Rejects when it ends before. */
export async function firstWord<T>(child: ChildProcess): Promise<T> {
  const [word] = await Promise.race([
    once(child, "message"),
    once(child, "exit").then(([code, signal]) => {
      throw new Error(`${child.spawnargs[1]} ended with ${code ?? signal} before it said a word`);
    }),
  ]);
  return word as T;
}

/** Sends SIGTERM, or another signal, and waits until it has ended; nothing, if it has or never began. */
export async function endChild(
  child: ChildProcess,
  signal: NodeJS.Signals = "SIGTERM",
): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill(signal);
  await exit;
}
