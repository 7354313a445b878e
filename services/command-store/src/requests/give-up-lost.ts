import type { OpenSessionRequest } from "@howdah/proto/howdah/v1/store_sessions";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { liveStatuses } from "@howdah/state/statuses";
import type { Transaction } from "../database/together.js";
import { lockRequests } from "../store/request-rows.js";
import type { OpenTask } from "../store/sessions.js";
import { nextTask } from "./next-task.js";
import { policyOf } from "./policy.js";
import { createChangeSet } from "./task-changes.js";
import { writeChanges } from "./write-changes.js";

/** The name of an attempt. */
export function nameOf({ taskId, attempt }: { taskId: bigint | number; attempt: number }): string {
  return `${taskId}/${attempt}`;
}

/**
 * Gives up what journals held that are gone: nobody can tell whether it ran. Gives the ids of the requests that changed.
 * @param open the open tasks of hosts; those of other hosts stay as they are
 * @param registered what the agents whose journals are new say, by their hosts' ids
 */
export async function giveUpLost(
  trx: Transaction,
  open: readonly OpenTask[],
  registered: ReadonlyMap<number, OpenSessionRequest>,
  now: number,
): Promise<number[]> {
  const listed = new Map(
    Array.from(registered, ([hostId, request]) => [hostId, new Set(request.listed.map(nameOf))]),
  );
  const isLost = (task: OpenTask) => {
    const known = listed.get(task.hostId);
    return known !== undefined && liveStatuses.has(task.status) && !known.has(nameOf(task));
  };
  const seen = open.filter(isLost);
  if (seen.length === 0) return [];
  const requestIds = [...new Set(seen.map(({ requestId }) => requestId))];
  // Read again: until their requests were locked the tasks may have moved on.
  const taskIds = seen.map(({ taskId }) => taskId);
  const locked = await lockRequests(trx, requestIds, taskIds);
  const { requests, tasks } = locked;
  const changes = createChangeSet(locked);
  for (const task of tasks.values()) {
    const request = requests.get(task.requestId);
    if (request === undefined || !isLost(task)) continue;
    const details = { now, reason: "the journal of its host's agent is gone" };
    const next = nextTask(task, TaskEvent.JOURNAL_LOST, request, policyOf(request, task), details);
    if (next.kind === "changed") changes.change(next.task);
  }
  await writeChanges(trx, changes, now);
  return requestIds;
}
