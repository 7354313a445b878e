import type { ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { memoryOf } from "../agent/process-usage.js";
import { endChild, firstWord, startChild } from "../bare/child.js";
import type { Ends } from "../ends.js";
import { until } from "../until.js";

/** What is said on each stream. */
export interface BareTalk {
  readonly registerBytes: number;
  readonly answerBytes: number;
  readonly heartbeatBytes: number;
  readonly heartbeatMs: number;
}

/** A bare grpc-js server with idle streams, its clients in another process. */
export interface BareStreams {
  readonly port: number;
  readonly pid: number;
  /** The server's resident memory before the first client came, in MiB. */
  readonly emptyMib: number;
  /** Connects so many, so many a second, and resolves when all have been answered. */
  connect(count: number, perSecond: number, signal: AbortSignal): Promise<void>;
  /** Ends both: for who goes on without them. */
  stop(): Promise<void>;
}

/** Starts the server. */
export async function startBareStreams(
  ends: Ends,
  talk: BareTalk,
  settleMs: number,
): Promise<BareStreams> {
  const children: ChildProcess[] = [];
  const start = (name: string, ...args: number[]) => {
    const child = startChild(new URL(name, import.meta.url), ...args);
    children.push(child);
    return child;
  };
  const stop = async () => {
    await Promise.all(children.toReversed().map((child) => endChild(child)));
  };
  ends.after(stop);
  const server = start("./bare-server.js", talk.answerBytes);
  const port = await firstWord<number>(server);
  const pid = server.pid ?? 0;
  await sleep(settleMs);
  return {
    ...{ port, pid, emptyMib: memoryOf(pid).residentMib, stop },
    async connect(count, perSecond, signal) {
      const { registerBytes, heartbeatBytes, heartbeatMs } = talk;
      const args = [port, count, perSecond, registerBytes, heartbeatBytes, heartbeatMs];
      const clients = start("./bare-clients.js", ...args);
      let answered = 0;
      clients.on("message", (number: number) => {
        answered = number;
      });
      const isThere = () => {
        if (clients.exitCode !== null) throw new Error("the bare streams' clients have ended");
        return answered >= count;
      };
      const what = () => `${count} bare streams to be answered, which ${answered} are`;
      await until(isThere, what, { signal, mostMs: 120_000, everyMs: 100 });
    },
  };
}
