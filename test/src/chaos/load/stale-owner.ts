import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { ReportOutcome } from "@howdah/proto/howdah/v1/store_reports";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { createRpcTransport } from "@howdah/rpc/transport";
import type { StaleTry } from "../check/history.js";
import type { OpenTask, StoreObserver } from "../collect/observe-store.js";
import type { Random } from "../random.js";
import { uptimeMs } from "../uptime.js";

/** Somebody who does not know that his time is over. */
export interface StaleOwner {
  readonly tries: readonly StaleTry[];
  stop(): Promise<void>;
}

/**
 * Starts to write, now and then, as a scheduler with a former token and as a dispatcher with a former session would: all must be
 * refused. @param addresses of the stores
 */
export function startStaleOwner(
  addresses: readonly string[],
  observer: StoreObserver,
  random: Random,
): StaleOwner {
  const stopping = new AbortController();
  const tries: StaleTry[] = [];
  const transport = createRpcTransport({ address: addresses.join(",") });
  const store = createClient(CommandStoreService, transport);
  const call = { timeoutMs: 4_000 };

  async function attempt(
    task: OpenTask,
    what: string,
    write: () => Promise<{ refused: boolean; detail: string }>,
  ): Promise<void> {
    const atMs = uptimeMs();
    const known = { atMs, what, taskId: task.taskId };
    try {
      const { refused, detail } = await write();
      tries.push({ ...known, outcome: refused ? "refused" : "accepted", detail });
    } catch (error) {
      const { code, rawMessage } = ConnectError.from(error);
      const refused = code === Code.FailedPrecondition;
      tries.push({ ...known, outcome: refused ? "refused" : "unanswered", detail: rawMessage });
    }
  }

  const asScheduler = (task: OpenTask, token: number) =>
    attempt(task, `a scheduler with the former token ${token} gives up on a task`, async () => {
      const { results } = await store.recordTransitions(
        {
          schedulerToken: BigInt(token),
          requests: [
            {
              requestId: BigInt(task.requestId),
              transitions: [
                {
                  taskId: BigInt(task.taskId),
                  hostId: BigInt(task.hostId),
                  attempt: task.attempt,
                  event: TaskEvent.DEADLINE_PASSED,
                  reason: "a stale scheduler says so",
                },
              ],
            },
          ],
        },
        call,
      );
      const [result] = results;
      return {
        refused: result?.staleOwner === true && result.changes.length === 0,
        detail: `staleOwner ${result?.staleOwner}, ${result?.changes.length} changes`,
      };
    });

  const asDispatcher = (task: OpenTask, epoch: number) =>
    attempt(task, `a dispatcher with the former session ${epoch} reports a failure`, async () => {
      const { results, changes } = await store.recordReports(
        {
          reports: [
            {
              taskId: BigInt(task.taskId),
              hostId: BigInt(task.hostId),
              sessionEpoch: BigInt(epoch),
              attempt: task.attempt,
              event: TaskEvent.FAILED,
              exitCode: 88,
              reason: "a stale dispatcher says so",
            },
          ],
        },
        call,
      );
      const outcome = results[0]?.outcome ?? ReportOutcome.UNSPECIFIED;
      return {
        refused: outcome !== ReportOutcome.RECORDED && changes.length === 0,
        detail: `${ReportOutcome[outcome]}, ${changes.length} changes`,
      };
    });

  async function pretend(): Promise<void> {
    while (!stopping.signal.aborted) {
      const { openTasks } = observer;
      const task = openTasks.length > 0 ? random.pick(openTasks) : undefined;
      if (task !== undefined && task.ownerToken > 1) await asScheduler(task, task.ownerToken - 1);
      if (task !== undefined && task.sessionEpoch > 1) {
        await asDispatcher(task, task.sessionEpoch - 1);
      }
      await sleep(1_000, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  }
  const pretending = pretend();

  return {
    tries,
    async stop() {
      stopping.abort();
      await pretending;
      transport.close();
    },
  };
}
