import { create } from "@bufbuild/protobuf";
import { RequestOptionsSchema } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { type Counts, sum } from "@howdah/state/counts";
import { policyOf } from "@howdah/state/retry-policy";
import { progressPercent, requestStatus, stageStatus } from "@howdah/state/roll-up";
import type { Statement } from "../database/statement.js";
import { type Transaction, together } from "../database/together.js";
import { type Bindings, type ClusterDigests, selectDigestsOf } from "../store/bindings.js";
import type { NewStanding, NewTask } from "../store/insert-request.js";
import { type LeaseSeen, selectUnlessReplaced, stillLeading } from "../store/scheduler-fence.js";
import type { TaskRow } from "../store/task-rows.js";
import { nextTask } from "./next-task.js";
import type { RequestDraft } from "./request-draft.js";

/** A request that is being stored. */
const begun = { open: true, aborted: false, cancelRequested: false, paused: false } as const;

/** What is released as a request is stored. */
export interface FirstReleases {
  /** What becomes of the tasks, in the order asked for: what RecordTransitions makes of a task that is RELEASED. */
  readonly released: readonly TaskRow[];
  /** What must go last before COMMIT. */
  readonly fence: readonly Statement[];
}

const none: FirstReleases = { released: [], fence: [] };

/** None when another scheduler has taken the lease: the one that asks does not know then who else wants the hosts. */
export async function firstReleases(
  trx: Transaction,
  bindings: Bindings,
  { header, releases }: RequestDraft,
  tasks: readonly NewTask[],
  now: number,
): Promise<FirstReleases> {
  if (releases.length === 0) return none;
  const token = Number(header.schedulerToken);
  const [leading, digests] = await together(trx, [
    selectUnlessReplaced(token),
    selectDigestsOf(Number(header.clusterId)),
  ]);
  const [seen] = leading as readonly LeaseSeen[];
  if (seen === undefined) return none;
  const bound = await bindings.ofClusters(trx, digests as readonly ClusterDigests[]);
  const bindingId = bound.get(Number(header.clusterId))?.bindingId ?? 0;
  const { options = create(RequestOptionsSchema) } = header;
  const released = releases.flatMap(({ task: place, sessionEpoch }) => {
    const row = tasks[place]?.row;
    // Nothing is sent for a manual step, so there is nothing to be had from hurrying.
    if (row === undefined || row.manual) return [];
    const details = { now, sessionEpoch: Number(sessionEpoch), bindingId };
    const policy = policyOf(options, row, false);
    const next = nextTask(row, TaskEvent.RELEASED, begun, policy, details);
    return next.kind === "changed" ? [next.task] : [];
  });
  return { released, fence: released.length > 0 ? [stillLeading(token, seen)] : [] };
}

/** How many tasks of each role are in each status, by stage and role, when these are released. */
export function countsOf({ counts }: RequestDraft, released: readonly TaskRow[]): Counts[][] {
  const queued = counts.map((roles) => roles.map(() => 0));
  for (const { stageId, roleIndex } of released) {
    const roles = queued[stageId] ?? [];
    roles[roleIndex] = (roles[roleIndex] ?? 0) + 1;
  }
  return counts.map((roles, stageId) =>
    roles.map((tasks, at) => {
      const first = queued[stageId]?.[at] ?? 0;
      return { [Status.PENDING]: tasks - first, [Status.QUEUED]: first };
    }),
  );
}

/** What the tasks come to, by those counts. */
export function standingOf({ stages }: RequestDraft, counts: readonly Counts[][]): NewStanding {
  const roles = counts.map((stage, stageId) =>
    stage.map((each, at) => {
      const { successFactor = 1 } = stages[stageId]?.roles[at] ?? {};
      return { counts: each, successFactor };
    }),
  );
  return {
    status: requestStatus(roles),
    progress: progressPercent(sum(counts.flat())),
    stages: roles.map(stageStatus),
  };
}
