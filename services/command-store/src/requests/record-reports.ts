import { create } from "@bufbuild/protobuf";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import { Status } from "@howdah/proto/howdah/v1/status";
import {
  ReportOutcome,
  type ReportResult,
  ReportResultSchema,
  type TaskReport,
} from "@howdah/proto/howdah/v1/store_reports";
import { type TaskChange, TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { agentEvents, transition } from "@howdah/state/transitions";
import type { Knex } from "knex";
import { StaleReadError } from "../database/database-errors.js";
import type { Transaction } from "../database/together.js";
import { inTransaction } from "../database/transaction.js";
import { insertOutput, readStored, type StreamKey, streamName } from "../store/output.js";
import { type LockedRequests, lockRequests, type RequestRow } from "../store/request-rows.js";
import { readSessionEpochs } from "../store/sessions.js";
import type { TaskRequests } from "../store/task-requests.js";
import type { TaskRow } from "../store/task-rows.js";
import { writeFormerAttempts } from "../store/write-task-changes.js";
import { type EventDetails, endOf, nextTask, stateOf } from "./next-task.js";
import { type Append, chunkProblem, planAppends } from "./output-appends.js";
import { policyOf } from "./policy.js";
import { type ChangeSet, createChangeSet, toTaskChange } from "./task-changes.js";
import { writeChanges } from "./write-changes.js";

/** What became of a batch of reports. */
export interface RecordedReports {
  /** One for each report, in the same order. */
  readonly results: ReportResult[];
  /** The tasks that changed. */
  readonly changes: TaskChange[];
  /** The tasks whose output grew. */
  readonly grown: ReadonlySet<number>;
  /** Those of the tasks' requests that are over. */
  readonly over: ReadonlySet<number>;
}

/** What is to be said of a report. */
interface Verdict {
  readonly outcome: ReportOutcome;
  readonly reason?: string;
}

const recorded: Verdict = { outcome: ReportOutcome.RECORDED };
const known: Verdict = { outcome: ReportOutcome.KNOWN };
const refused = (reason: string): Verdict => ({ outcome: ReportOutcome.REFUSED, reason });

/**
 * Commits what agents say, the whole batch in one transaction of a constant number of statements. Each report stands alone: one that
 * cannot be is refused and the others go on.
 */
export function recordReports(
  db: Knex,
  taskRequests: TaskRequests,
  reports: readonly TaskReport[],
  now: number,
): Promise<RecordedReports> {
  return inTransaction(db, async (trx) => {
    const locked = await lockTasks(trx, taskRequests, taskIdsOf(reports));
    const { tasks } = locked;
    const first = reports.map((report) => judge(report, tasks.get(Number(report.taskId))));
    const moving = reports.filter((_, i) => first[i] === recorded);
    const changes = createChangeSet({ ...locked, requests: requestsOf(moving, locked) });
    const verdicts = reports.map((report, i) => {
      const verdict = first[i] ?? known;
      return verdict === recorded ? apply(report, changes, now) : verdict;
    });
    await writeChanges(trx, changes, now);
    await writeFormerAttempts(trx, formerAttempts(reports, tasks));
    const { stored, grown } = await storeOutput(trx, reports, verdicts, tasks);
    const over = [...changes.requests.values()].filter(({ open }) => !open);
    return {
      results: reports.map((report, i) => toResult(report, verdicts[i] ?? known, stored)),
      changes: changes
        .changed()
        .map(({ before, after }) => toTaskChange(after, isCorrection(before, after))),
      grown,
      over: new Set(over.map(({ requestId }) => requestId)),
    };
  });
}

/** Locks the requests of tasks, and reads the tasks under that lock. */
async function lockTasks(
  trx: Transaction,
  taskRequests: TaskRequests,
  taskIds: readonly number[],
): Promise<LockedRequests> {
  const requestIds = await taskRequests.of(trx, taskIds);
  const locked = await lockRequests(trx, requestIds, taskIds);
  const gone = taskIds.filter((taskId) => !locked.tasks.has(taskId));
  if (gone.length === 0) return locked;
  // Or is this another database than before, an older one that was restored?
  const elsewhere = await taskRequests.again(trx, gone);
  if (elsewhere.every((requestId) => requestIds.includes(requestId))) return locked;
  throw new StaleReadError("tasks are not of the requests they were of");
}

/** The requests that reports move: those of which all was said before stay as they are. */
function requestsOf(
  reports: readonly TaskReport[],
  { requests, tasks }: LockedRequests,
): Map<number, RequestRow> {
  const moved = new Set(reports.map(({ taskId }) => tasks.get(Number(taskId))?.requestId));
  return new Map([...requests].filter(([id]) => moved.has(id)));
}

function isCorrection(before: TaskRow, after: TaskRow): boolean {
  return before.status === Status.UNKNOWN && after.status !== Status.UNKNOWN;
}

function taskIdsOf(reports: readonly TaskReport[]): number[] {
  return ascending(reports.map(({ taskId }) => Number(taskId)));
}

function ascending(ids: readonly number[]): number[] {
  return [...new Set(ids)].sort((a, b) => a - b);
}

/** What can be said of a report without its request; `recorded` when it may change its task. */
function judge(report: TaskReport, task: TaskRow | undefined): Verdict {
  if (!agentEvents.has(report.event)) {
    return refused(`an agent cannot report ${TaskEvent[report.event] ?? report.event}`);
  }
  if (task === undefined) return refused(`there is no task ${report.taskId}`);
  if (report.hostId !== BigInt(task.hostId)) {
    return refused(`task ${report.taskId} is host ${task.hostId}'s, not host ${report.hostId}'s`);
  }
  for (const chunk of report.output) {
    const problem = chunkProblem(chunk);
    if (problem !== undefined) return refused(`output: ${problem}`);
  }
  if (report.attempt < 1 || report.attempt > task.attempt) {
    return refused(
      `task ${report.taskId} has no attempt ${report.attempt}, its last is ${task.attempt}`,
    );
  }
  if (report.attempt < task.attempt || isKnown(task, report.event)) return known;
  if (report.sessionEpoch < BigInt(task.sessionEpoch)) {
    return {
      outcome: ReportOutcome.STALE_SESSION,
      reason: `session ${report.sessionEpoch} of host ${task.hostId} is over, report on session ${task.sessionEpoch}`,
    };
  }
  if (report.sessionEpoch > BigInt(task.sessionEpoch) && task.status !== Status.PENDING) {
    return refused(
      `task ${report.taskId} was released to session ${task.sessionEpoch}, not to ${report.sessionEpoch}`,
    );
  }
  return recorded;
}

const noPolicy = { onFailure: 0, maxAttempts: 1, retryOn: new Set<TaskEvent>(), manual: false };

function isKnown(task: TaskRow, event: TaskEvent): boolean {
  return transition(stateOf(task, false), event, noPolicy).kind === "known";
}

/** What a report does to its task, given its request as it is under the lock. */
function apply(report: TaskReport, changes: ChangeSet, now: number): Verdict {
  const task = changes.task(Number(report.taskId));
  const request = task === undefined ? undefined : changes.requests.get(task.requestId);
  if (task === undefined || request === undefined) return refused("its request is gone");
  // An earlier report of this batch may have begun the next attempt.
  if (report.attempt < task.attempt) return known;
  const next = nextTask(
    task,
    report.event,
    request,
    policyOf(request, task),
    detailsOf(report, now),
  );
  switch (next.kind) {
    case "changed":
      changes.change(next.task, next.superseded);
      return recorded;
    case "known":
      return known;
    case "refused":
      return refused(
        `task ${report.taskId} is ${Status[task.status]}: an agent cannot report ${TaskEvent[report.event]} about it`,
      );
  }
}

function detailsOf(report: TaskReport, now: number): EventDetails {
  const length = (wanted: OutputStream) => {
    const found = report.lengths.find(({ stream }) => stream === wanted);
    if (found === undefined) return report.restEmpty ? 0 : null;
    return safeNumber(found.length);
  };
  return {
    now,
    exitCode: report.exitCode,
    startedAt: safeNumber(report.startedAtMs),
    endedAt: safeNumber(report.endedAtMs),
    receivedAt: safeNumber(report.receivedAtMs),
    stdoutLength: length(OutputStream.STDOUT),
    stderrLength: length(OutputStream.STDERR),
    structuredLength: length(OutputStream.STRUCTURED),
    reason: report.reason.slice(0, 255),
  };
}

/** An agent's number, within what can be stored and read back. */
function safeNumber(value: bigint): number {
  return Math.min(Math.max(Number(value), 0), Number.MAX_SAFE_INTEGER);
}

/** What the batch says about the ends of attempts that others follow by now. */
function formerAttempts(reports: readonly TaskReport[], tasks: ReadonlyMap<number, TaskRow>) {
  return reports.flatMap((report) => {
    const task = tasks.get(Number(report.taskId));
    if (task === undefined || report.hostId !== BigInt(task.hostId)) return [];
    const former = report.attempt >= 1 && report.attempt < task.attempt;
    if (!former || !agentEvents.has(report.event) || report.event === TaskEvent.STARTED) return [];
    const { now: _, ...details } = detailsOf(report, 0);
    const { exitCode = null, startedAt = 0, endedAt = 0 } = details;
    return [
      {
        ...task,
        attempt: report.attempt,
        status: endOf(report.event),
        exitCode,
        startTime: startedAt,
        endTime: endedAt,
        stdoutLength: details.stdoutLength ?? null,
        stderrLength: details.stderrLength ?? null,
        structuredLength: details.structuredLength ?? null,
        reason: details.reason || null,
      },
    ];
  });
}

/** Stores the output that came with the reports, where it continues what is stored, and says how much is stored then. */
async function storeOutput(
  trx: Transaction,
  reports: readonly TaskReport[],
  verdicts: readonly Verdict[],
  tasks: ReadonlyMap<number, TaskRow>,
): Promise<{ stored: Map<string, number>; grown: Set<number> }> {
  const accepted = reports.filter((_, i) => {
    const outcome = verdicts[i]?.outcome;
    return outcome === ReportOutcome.RECORDED || outcome === ReportOutcome.KNOWN;
  });
  const keys = new Map<string, StreamKey>();
  for (const report of accepted) {
    for (const key of streamsOf(report)) keys.set(streamName(key), key);
  }
  const stored = await readStored(trx, [...keys.values()]);
  const current = await currentSessions(trx, accepted, tasks);
  const appends: Append[] = accepted.filter(current).flatMap((report) => {
    const key = { taskId: Number(report.taskId), attempt: report.attempt };
    return report.output.map((chunk) => ({ ...key, stream: chunk.stream, chunk }));
  });
  const chunks = planAppends(appends, stored);
  await insertOutput(trx, chunks);
  return { stored, grown: new Set(chunks.map(({ taskId }) => taskId)) };
}

/** Whether a report came on its host's current session: what its task was released to says so, or else the session itself. */
async function currentSessions(
  trx: Transaction,
  reports: readonly TaskReport[],
  tasks: ReadonlyMap<number, TaskRow>,
): Promise<(report: TaskReport) => boolean> {
  const byTask = ({ taskId, sessionEpoch }: TaskReport) =>
    BigInt(tasks.get(Number(taskId))?.sessionEpoch ?? -1) === sessionEpoch;
  const others = reports.filter((report) => report.output.length > 0 && !byTask(report));
  const epochs = await readSessionEpochs(trx, ascending(others.map((r) => Number(r.hostId))));
  return (report) =>
    byTask(report) || BigInt(epochs.get(Number(report.hostId)) ?? -1) === report.sessionEpoch;
}

function streamsOf(report: TaskReport): StreamKey[] {
  const key = { taskId: Number(report.taskId), attempt: report.attempt };
  const streams = new Set([
    ...report.output.map(({ stream }) => stream),
    ...report.lengths.filter(({ length }) => length > 0n).map(({ stream }) => stream),
  ]);
  return Array.from(streams, (stream) => ({ ...key, stream }));
}

function toResult(
  report: TaskReport,
  { outcome, reason = "" }: Verdict,
  stored: ReadonlyMap<string, number>,
): ReportResult {
  const streams = new Set([...report.output, ...report.lengths].map(({ stream }) => stream));
  const key = { taskId: Number(report.taskId), attempt: report.attempt };
  return create(ReportResultSchema, {
    outcome,
    reason,
    stored: Array.from(streams, (stream) => ({
      stream,
      length: BigInt(stored.get(streamName({ ...key, stream })) ?? 0),
    })),
  });
}
