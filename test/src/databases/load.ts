import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { asynchronous, requestParts } from "@howdah/command-store/testing/store";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { OnFailure } from "@howdah/proto/howdah/v1/operation";
import { ReportOutcome } from "@howdah/proto/howdah/v1/store_reports";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";

type Store = Client<typeof CommandStoreService>;

/** What the callers of the store saw. */
export interface Load {
  /** Calls that were answered. */
  readonly calls: number;
  /** Errors by their codes; each was followed by the same call again. */
  readonly errors: ReadonlyMap<string, number>;
  /** What the store must never say; each in a line. */
  readonly wrong: readonly string[];
  /** Requests that were acknowledged, and of each the tasks whose ends were. */
  readonly acknowledged: ReadonlyMap<bigint, readonly bigint[]>;
  /** The longest time without any answer, in milliseconds, since `watchOutage` was called. */
  readonly outageMs: number;
  /** Begins to look for the longest time without an answer. */
  watchOutage(): void;
  /** Tasks whose ends were acknowledged so far. */
  tasks(): number;
  /** Lets every worker finish its request; rejects when one could not within `limitMs`. */
  finish(limitMs: number): Promise<void>;
}

/** What may pass: the caller sends it again, as schedulers and dispatchers do. */
const passing = new Set([Code.Unavailable, Code.Aborted, Code.DeadlineExceeded]);
const callTimeoutMs = 10_000;
const pauseMs = 50;
export const tasksEach = 20;
export const outputOf = (taskId: bigint) => `output of task ${taskId}\n`;

/** Runs requests through the store's calls, `workers` at a time, until it is told to finish. */
export function startLoad(store: Store, workers: number): Load {
  let calls = 0;
  let tasks = 0;
  let stopping = false;
  let lastAnswer = performance.now();
  let outageMs = 0;
  const errors = new Map<string, number>();
  const wrong: string[] = [];
  const acknowledged = new Map<bigint, bigint[]>();
  const giveUp = new AbortController();

  async function untilAnswered<T>(name: string, call: () => Promise<T>): Promise<T> {
    for (;;) {
      giveUp.signal.throwIfAborted();
      try {
        const answer = await call();
        calls += 1;
        outageMs = Math.max(outageMs, performance.now() - lastAnswer);
        lastAnswer = performance.now();
        return answer;
      } catch (error) {
        const { code, rawMessage } = ConnectError.from(error);
        const key = Code[code] ?? String(code);
        errors.set(key, (errors.get(key) ?? 0) + 1);
        if (!passing.has(code)) wrong.push(`${name}: ${key} ${rawMessage}`);
        if (!passing.has(code) && code !== Code.Internal) throw error;
        await delay(pauseMs);
      }
    }
  }

  async function work(n: number): Promise<void> {
    const options = { timeoutMs: callTimeoutMs };
    const session = {
      hostName: `load-${n}`,
      agentId: `agent-${n}`,
      journalId: `journal-${n}`,
      dispatcher: "dispatcher/load",
      dispatcherToken: 1n,
    };
    const { hostId, sessionEpoch } = await untilAnswered("openSession", () =>
      store.openSession(session, options),
    );
    const hosts = Array.from({ length: tasksEach }, () => hostId);
    while (!stopping) {
      const key = randomUUID();
      const sample = {
        key,
        stages: [[{ role: "LOAD", hosts }]],
        header: { options: { onFailure: OnFailure.CONTINUE } },
      };
      const { request } = await untilAnswered("createRequest", () =>
        store.createRequest(asynchronous(requestParts(sample)), options),
      );
      const requestId = request?.requestId ?? 0n;
      const ended: bigint[] = [];
      acknowledged.set(requestId, ended);
      const { tasks: listed } = await untilAnswered("listTasks", () =>
        store.listTasks({ requestId }, options),
      );
      if (listed.length !== tasksEach) {
        wrong.push(`request ${requestId} has ${listed.length} tasks, not ${tasksEach}`);
        continue;
      }
      const ids = listed.map(({ taskId }) => taskId);
      const about = ids.map((taskId) => ({ taskId, attempt: 1, hostId, sessionEpoch }));
      const { results } = await untilAnswered("recordTransitions", () =>
        store.recordTransitions(
          {
            schedulerToken: 1n,
            requests: [
              {
                requestId,
                transitions: about.map((task) => ({ ...task, event: TaskEvent.RELEASED })),
              },
            ],
          },
          options,
        ),
      );
      if (results[0]?.commands.length !== tasksEach) {
        wrong.push(`release of request ${requestId} gave ${results[0]?.commands.length} commands`);
      }
      await report(about.map((task) => ({ ...task, event: TaskEvent.STARTED })));
      await report(
        about.map((task) => {
          const data = Buffer.from(outputOf(task.taskId));
          return {
            ...task,
            event: TaskEvent.SUCCEEDED,
            exitCode: 0,
            output: [{ stream: OutputStream.STDOUT, offset: 0n, data }],
            lengths: [{ stream: OutputStream.STDOUT, length: BigInt(data.length) }],
          };
        }),
      );
      ended.push(...ids);
      tasks += ids.length;
    }
  }

  async function report(reports: Parameters<Store["recordReports"]>[0]["reports"]) {
    const { results } = await untilAnswered("recordReports", () =>
      store.recordReports({ reports: reports ?? [] }, { timeoutMs: callTimeoutMs }),
    );
    for (const [n, { outcome, reason }] of results.entries()) {
      if (outcome === ReportOutcome.RECORDED || outcome === ReportOutcome.KNOWN) continue;
      wrong.push(`report of task ${reports?.[n]?.taskId}: ${ReportOutcome[outcome]} ${reason}`);
    }
  }

  const running = Promise.all(Array.from({ length: workers }, (_, n) => work(n)));
  running.catch(() => {});
  return {
    get calls() {
      return calls;
    },
    errors,
    wrong,
    acknowledged,
    get outageMs() {
      return Math.max(outageMs, stopping ? 0 : performance.now() - lastAnswer);
    },
    watchOutage() {
      outageMs = 0;
    },
    tasks: () => tasks,
    async finish(limitMs) {
      stopping = true;
      const timer = setTimeout(
        () => giveUp.abort(new Error(`a request was not done after ${limitMs} ms`)),
        limitMs,
      );
      try {
        await running;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
