import type { History } from "./history.js";
import type { Violation } from "./violation.js";

interface Event {
  readonly atMs: number;
  readonly text: string;
}

/** So many events of a violation are told, the first and the last ones. */
const most = 60;

/** A violation with the events of the tasks and requests it is about, in their order, and no others. */
export function tellViolation(history: History, violation: Violation): string {
  const { rule, what } = violation;
  const events = eventsOf(history, violation).toSorted((a, b) => a.atMs - b.atMs);
  const lines = events.map(
    ({ atMs, text }) => `  ${String(Math.round(atMs)).padStart(10)}  ${text}`,
  );
  const half = most / 2;
  const shown =
    lines.length <= most
      ? lines
      : [...lines.slice(0, half), `  … ${lines.length - most} more …`, ...lines.slice(-half)];
  return [`VIOLATED ${rule}`, `  ${what} (seed ${history.seed})`, ...shown].join("\n");
}

function eventsOf(history: History, violation: Violation): Event[] {
  const tasks = new Set(violation.taskIds ?? []);
  const requests = new Set(violation.requestIds ?? []);
  for (const { taskId, requestId } of history.tasks) if (tasks.has(taskId)) requests.add(requestId);
  const events: Event[] = [];
  const add = (atMs: number, text: string) => events.push({ atMs, text });
  for (const { atMs, key, answer, asked } of history.submissions) {
    const id = answer.kind === "acknowledged" ? answer.requestId : undefined;
    if (id === undefined || !requests.has(id)) continue;
    add(atMs, `submitted with key ${key}: "${asked.context}" is request ${id}`);
  }
  for (const { atMs, requestId, kind, acknowledged } of history.words) {
    if (!requests.has(requestId)) continue;
    add(atMs, `${kind} of request ${requestId}${acknowledged ? "" : " (not answered)"}`);
  }
  for (const { atMs, host, kind, taskId, attempt, step, exitCode } of history.scripts) {
    if (!tasks.has(taskId)) continue;
    const code = exitCode === undefined ? "" : `, exit code ${exitCode}`;
    add(
      atMs,
      `script on ${host}: ${kind} of task ${taskId} attempt ${attempt} step ${step}${code}`,
    );
  }
  for (const { host, entries } of history.journals) {
    for (const { taskId, attempt, state, acknowledged, result } of entries) {
      if (!tasks.has(taskId)) continue;
      const word = acknowledged ? "acknowledged" : "not acknowledged";
      const text = `journal of ${host}: task ${taskId} attempt ${attempt} ${state}, ${word}`;
      if (result === undefined) add(Infinity, text);
      else
        add(
          result.endedMs,
          `${text}: ${result.status} exit code ${result.exitCode} tries ${result.tries}`,
        );
    }
  }
  for (const { atMs, taskId, attempt, status } of history.sightings) {
    if (tasks.has(taskId)) add(atMs, `store: task ${taskId} attempt ${attempt} ${status}`);
  }
  for (const { atMs, requestId, percent, status, watcher } of history.progress) {
    if (requests.has(requestId))
      add(atMs, `${watcher} saw request ${requestId} ${status} ${percent} %`);
  }
  for (const { atMs, taskId, what, outcome } of history.staleTries) {
    if (tasks.has(taskId)) add(atMs, `${what}: ${outcome}`);
  }
  if (events.length > 0)
    for (const atMs of history.databaseKills) add(atMs, "the database is killed");
  for (const task of history.tasks) {
    if (!tasks.has(task.taskId)) continue;
    const { taskId, host, role, stageId, status, attempt, exitCode, reason } = task;
    add(
      Infinity,
      `in the end: task ${taskId} ${role} of stage ${stageId} on ${host} is ${status}, attempt ${attempt}, exit code ${exitCode ?? "none"} ${reason}`,
    );
  }
  return events;
}
