import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Task } from "@howdah/proto/howdah/v1/request";
import type {
  ExplainTaskResponseSchema,
  LedgerEntrySchema,
} from "@howdah/proto/howdah/v1/request_service";
import { finalStatuses } from "@howdah/state/statuses";
import { NotLeadingError } from "./not-leading.js";
import type { Steering } from "./steer-request.js";

/**
 * Says what a task waits for, from what the engine knows, and what has happened to its current attempt, from the store's row.
 * @throws ConnectError NOT_FOUND; UNAVAILABLE when the request is not driven yet
 */
export async function explainTask(
  { store, engine }: Steering,
  taskId: bigint,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof ExplainTaskResponseSchema>> {
  const { task } = await store.getTask({ taskId }, { signal });
  if (task === undefined) throw new ConnectError(`task ${taskId} is empty`, Code.Internal);
  const waits = engine.waitsOf({ ...task, version: task.changeVersion });
  if (waits === undefined && !finalStatuses.has(task.status) && task.queuedAtMs === 0n) {
    throw new NotLeadingError(`request ${task.requestId} is not taken over yet`, "no");
  }
  const now = performance.now();
  return {
    task,
    waits: (waits ?? []).map(({ kind, text, since }) => ({
      ...{ kind, text, waitedMs: BigInt(Math.max(0, Math.round(now - since))) },
    })),
    ledger: ledgerOf(task),
  };
}

function ledgerOf(task: Task): MessageInitShape<typeof LedgerEntrySchema>[] {
  const { times, queuedAtMs, receivedAtMs, reportedAtMs } = task;
  const { createdAt, startedAt, endedAt } = times ?? {};
  const moments = [
    ["CREATED", createdAt && timestampMs(createdAt)],
    ["QUEUED", Number(queuedAtMs)],
    ["DELIVERED", Number(receivedAtMs)],
    ["STARTED", startedAt && timestampMs(startedAt)],
    ["ENDED", endedAt && timestampMs(endedAt)],
    ["REPORTED", Number(reportedAtMs)],
  ] as const;
  return moments.flatMap(([moment, atMs]) => (atMs ? [{ moment, atMs: BigInt(atMs) }] : []));
}
