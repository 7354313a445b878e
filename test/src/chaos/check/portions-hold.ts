import type { AskedRolling, Sighting } from "./history.js";
import { clockStepMs, spansOf } from "./spans.js";
import { askedByRequest } from "./stages-in-order.js";
import { type Check, grouped, type Violation } from "./violation.js";

const rule = "no more is released than was asked for";
const open = new Set(["QUEUED", "IN_PROGRESS"]);
const waits = new Set(["PENDING", ...open]);

/**
 * A request's own cap, and rolling batches: of a stage's hosts only those of one batch have released tasks, and those of the batches
 * before have none that still waits.
 *
 * Sees each look at the store, which is one state. Passes over tasks that were UNKNOWN at some time, which end their batch and may come
 * back, and in batches over requests that were tried again. Cannot see: what was released and ended between two looks.
 */
export const portionsHold: Check = (history) => {
  const found: Violation[] = [];
  const asked = askedByRequest(history);
  const tasks = new Map(history.tasks.map((task) => [task.taskId, task]));
  const unsure = new Set(
    [...history.sightings, ...history.tasks].flatMap(({ status, taskId }) =>
      status === "UNKNOWN" ? [taskId] : [],
    ),
  );
  const retried = new Set(
    history.words.flatMap(({ kind, requestId }) => (kind === "retry" ? [requestId] : [])),
  );
  for (const [id, seen] of grouped(history.sightings, ({ requestId }) => String(requestId))) {
    const { atOnce, rolling } = asked.get(Number(id)) ?? {};
    if (atOnce === undefined && rolling === undefined) continue;
    const own = history.tasks.filter(({ requestId }) => requestId === Number(id));
    const batches = rolling && batchesOf(own, rolling);
    const latest = new Map<number, Sighting>();
    for (const [, look] of grouped(seen, ({ atMs }) => String(atMs))) {
      for (const sighting of look) latest.set(sighting.taskId, sighting);
      const at = `at ${Math.round(look[0]?.atMs ?? 0)}`;
      const sure = [...latest.values()].filter(({ taskId }) => !unsure.has(taskId));
      const released = sure.filter(({ status }) => open.has(status));
      if (atOnce !== undefined && released.length > atOnce) {
        const taskIds = released.map(({ taskId }) => taskId);
        found.push({
          rule,
          what: `request ${id} has ${released.length} released tasks ${at}, at most ${atOnce} were asked for`,
          taskIds,
        });
        break;
      }
      if (batches === undefined || retried.has(Number(id))) continue;
      const waiting = sure.filter(({ status }) => waits.has(status));
      const early = released.find(({ taskId }) =>
        waiting.some(
          (other) =>
            tasks.get(other.taskId)?.stageId === tasks.get(taskId)?.stageId &&
            (batches.get(other.taskId) ?? 0) < (batches.get(taskId) ?? 0),
        ),
      );
      if (early === undefined) continue;
      const what = `request ${id} has released task ${early.taskId} of batch ${batches.get(early.taskId)} ${at}, before the batches before were done`;
      found.push({ rule, what, taskIds: [early.taskId] });
      break;
    }
  }
  return found;
};

/**
 * The pause between two batches of a stage: from the last end in the one to the first start in the next. Passes over requests of which
 * a person said anything.
 */
export const batchesPause: Check = (history) => {
  const found: Violation[] = [];
  const asked = askedByRequest(history);
  const spans = spansOf(history);
  const spoken = new Set(history.words.map(({ requestId }) => requestId));
  const unsure = new Set(
    [...history.sightings, ...history.tasks].flatMap(({ status, taskId }) =>
      status === "UNKNOWN" ? [taskId] : [],
    ),
  );
  for (const [id, tasks] of grouped(history.tasks, ({ requestId }) => String(requestId))) {
    const { rolling } = asked.get(Number(id)) ?? {};
    if (rolling === undefined || spoken.has(Number(id))) continue;
    const batches = batchesOf(tasks, rolling);
    for (const [, stage] of grouped(tasks, ({ stageId }) => String(stageId))) {
      const ran = stage
        .filter(({ taskId }) => !unsure.has(taskId))
        .flatMap(({ taskId }) => spans.get(taskId) ?? [])
        .map((span) => ({ ...span, batch: batches.get(span.taskId) ?? 0 }));
      for (const span of ran) {
        const before = ran.filter(({ batch }) => batch < span.batch);
        const endedMs = Math.max(0, ...before.map(({ fromMs, toMs = fromMs }) => toMs));
        if (span.fromMs + 2 * clockStepMs >= endedMs + rolling.pauseMs) continue;
        const what = `request ${id}: task ${span.taskId} of batch ${span.batch} started at ${span.fromMs}, the batch before ended at ${endedMs}, and ${rolling.pauseMs} ms between them were asked for`;
        found.push({ rule, what, taskIds: [span.taskId] });
        break;
      }
    }
  }
  return found;
};

/** The batch of each task: that of its host among the hosts of its stage. */
function batchesOf(
  tasks: readonly { readonly taskId: number; readonly stageId: number; readonly host: string }[],
  { canary, batch }: AskedRolling,
): Map<number, number> {
  const batches = new Map<number, number>();
  for (const [, stage] of grouped(tasks, ({ stageId }) => String(stageId))) {
    const hosts = [...new Set(stage.map(({ host }) => host))].sort();
    const size = "size" in batch ? batch.size : Math.ceil((batch.percent * hosts.length) / 100);
    for (const { taskId, host } of stage) {
      const place = hosts.indexOf(host) - canary;
      batches.set(taskId, place < 0 ? 0 : 1 + Math.floor(place / size));
    }
  }
  return batches;
}
