import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Fleet } from "./fleet.js";

/** Operators at work: all that they asked for was answered, or is told here. */
export interface Operators {
  /** How many calls were answered so far. */
  readonly answered: number;
  /** How long the slowest took. */
  readonly slowestMs: number;
  /** Calls that failed, a line each. */
  readonly failed: readonly string[];
  stop(): Promise<void>;
}

/**
 * Has three operators use the gateway all the time, as the howdah command and the console do: each call of a second, one after the other,
 * every service behind. A submission is repeated under its key when its answer was lost, as the howdah command does.
 */
export function startOperators({ requests, store, fleet }: Fleet, host: string): Operators {
  const stopping = new AbortController();
  const operators = { answered: 0, slowestMs: 0, failed: [] as string[], stop };

  async function make(name: string, call: () => Promise<unknown>): Promise<void> {
    const from = performance.now();
    try {
      await call();
      operators.answered += 1;
    } catch (error) {
      const { code, rawMessage } = ConnectError.from(error);
      operators.failed.push(`${name}: ${Code[code]} ${rawMessage}`);
    }
    operators.slowestMs = Math.max(operators.slowestMs, performance.now() - from);
  }

  async function work(): Promise<void> {
    const value = { argv: ["true"], hosts: { names: [host] } };
    const operation = { kind: { case: "adHoc" as const, value } };
    while (!stopping.signal.aborted) {
      const idempotencyKey = randomUUID();
      let requestId = 0n;
      let taskId = 0n;
      await make("plan", () => requests.planRequest({ operation }));
      await make("submit", async () => {
        const submit = () => requests.submitRequest({ idempotencyKey, operation });
        const { request } = await submit().catch((error: unknown) => {
          if (ConnectError.from(error).code !== Code.Unavailable) throw error;
          return submit();
        });
        requestId = request?.requestId ?? 0n;
      });
      await make("list", async () => {
        const { tasks } = await store.listTasks({ requestId });
        taskId = tasks[0]?.taskId ?? 0n;
      });
      await make("explain", () => requests.explainTask({ taskId }));
      await make("cancel", () => requests.cancelRequest({ requestId }).catch(unlessOver));
      await make("hosts", () => fleet.listHosts({}));
      await sleep(500, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  }
  const working = Promise.all([work(), work(), work()]);

  async function stop(): Promise<void> {
    stopping.abort();
    await working;
  }
  return operators;
}

/** What was asked for may have ended before it was cancelled. */
function unlessOver(error: unknown): void {
  if (!/is over/.test(ConnectError.from(error).rawMessage)) throw error;
}
