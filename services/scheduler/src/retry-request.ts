import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import { OnFailure } from "@howdah/proto/howdah/v1/operation";
import type { Request, Stage, Task } from "@howdah/proto/howdah/v1/request";
import type { RetryRequestRequest } from "@howdah/proto/howdah/v1/request_service";
import { Status } from "@howdah/proto/howdah/v1/status";
import {
  type RecordTransitionsRequest,
  RecordTransitionsRequestSchema,
} from "@howdah/proto/howdah/v1/store_transitions";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { ordinal } from "@howdah/state/failure-text";
import type { Engine } from "./engine/engine.js";
import { loadRun } from "./engine/load-run.js";
import { runOptions } from "./engine/run-options.js";
import { NotLeadingError } from "./not-leading.js";
import { missingWindow } from "./schedules/missing-window.js";
import { isEmpty, selectHosts } from "./select-hosts.js";
import { listTasks, readRequest, type Steering } from "./steer-request.js";

/** What a retry needs. */
export interface Retrying extends Steering {
  readonly fleet: Client<typeof FleetService>;
  /** The token of the scheduler's lease. */
  readonly token: bigint;
}

const retriable: ReadonlySet<Status> = new Set([
  ...[Status.FAILED, Status.TIMEDOUT, Status.ABORTED, Status.SKIPPED_FAILED, Status.UNKNOWN],
]);
const recordAttempts = 10;
const recordPauseMs = 200;

/**
 * Runs what failed of a request again, as a further run of it; what completed is not run again. Resolves once that is committed.
 *
 * A task whose outcome is UNKNOWN runs again only when its host's agent has registered since it was sent, with the same journal: it would
 * have said how the task ended. `force` runs it all the same.
 * @throws ConnectError FAILED_PRECONDITION when the request runs, when there is nothing to retry, or when a stage before what is retried
 * would stay failed
 */
export async function retryRequest(
  retrying: Retrying,
  { requestId, hosts, force }: RetryRequestRequest,
  signal: AbortSignal,
): Promise<Request> {
  const { store, fleet, engine } = retrying;
  const { request, stages } = await store.getRequest({ requestId }, { signal });
  if (request?.progressPercent !== 100) {
    const text = `request ${requestId} ${whyNotOver(request)}, or cancel it first`;
    throw new ConnectError(text, Code.FailedPrecondition);
  }
  const missing = await missingWindow(store, request.options, signal);
  if (missing !== undefined) throw new ConnectError(missing, Code.FailedPrecondition);
  const selected =
    hosts === undefined || isEmpty(hosts)
      ? undefined
      : new Set((await selectHosts(fleet, hosts, "hosts", signal)).map(({ hostId }) => hostId));
  const failed = await listTasks(store, requestId, retriable, signal);
  const concerned = failed.filter(({ hostId }) => selected?.has(hostId) ?? true);
  const tasks = concerned.filter((task) => force || hasAnswered(task, engine));
  if (tasks.length === 0) throw nothingToRetry(requestId, selected !== undefined, concerned.length);
  refuseUnlessReachable(request, stages, tasks);
  await recordRun(retrying, request, tasks, signal);
  engine.add(await loadRun(store, requestId, signal));
  return await readRequest(store, requestId, signal);
}

/** What keeps a request from its end, and what to do about that. */
function whyNotOver(request: Request | undefined): string {
  const { holding = 0, holdingFailed = 0, holdingTimedout = 0 } = request?.counts ?? {};
  const held = holding + holdingFailed + holdingTimedout;
  if (held > 0) return `has ${held} held ${held === 1 ? "task" : "tasks"}; resolve what is held`;
  if (request?.paused) return "is paused; resume it";
  return "is still running; wait for its end";
}

/** Whether it is known that the task's former attempt does nothing any more, as far as its host can be asked. */
function hasAnswered({ status, hostId, sessionEpoch, reason }: Task, engine: Engine): boolean {
  if (status !== Status.UNKNOWN) return true;
  const epoch = engine.sessionEpoch(hostId);
  return epoch !== undefined && epoch > sessionEpoch && !/journal .* is gone/.test(reason);
}

function nothingToRetry(requestId: bigint, isFiltered: boolean, unknown: number): ConnectError {
  const where = isFiltered ? " on these hosts" : "";
  const why =
    unknown === 0
      ? `no task of it${where} failed, timed out or was aborted`
      : `what is UNKNOWN${where} (${unknown}) may have run, and no host has said how it ended; look there, then force it (--force)`;
  const text = `there is nothing to retry in request ${requestId}: ${why}`;
  return new ConnectError(text, Code.FailedPrecondition);
}

/** A stage that stays failed would end the new run before it came to what is retried. */
function refuseUnlessReachable(
  request: Request,
  stages: readonly Stage[],
  tasks: readonly Task[],
): void {
  if (runOptions(request.options).onFailure !== OnFailure.ABORT) return;
  const earliest = tasks.reduce((least, { stageId }) => Math.min(least, stageId), stages.length);
  const failed = stages.find(
    ({ stageId, status }) => stageId < earliest && status !== Status.COMPLETED,
  );
  if (failed === undefined) return;
  throw new ConnectError(
    `stage ${ordinal(failed.stageId)} of request ${request.requestId} has failed on other hosts and comes before stage ${ordinal(earliest)}; retry those hosts too`,
    Code.FailedPrecondition,
  );
}

function toMessage(token: bigint, { requestId }: Request, tasks: readonly Task[]) {
  const transitions = tasks.map(({ taskId, attempt, hostId }) => ({
    ...{ taskId, attempt, hostId, event: TaskEvent.RETRIED, reason: "retried" },
  }));
  return create(RecordTransitionsRequestSchema, {
    schedulerToken: token,
    requests: [{ requestId, newRun: true, transitions }],
  });
}

/** Records the run, in one call since a run begins once. Repeats it while the store is away: it begins no second one. */
async function recordRun(
  retrying: Retrying,
  request: Request,
  tasks: readonly Task[],
  signal: AbortSignal,
): Promise<void> {
  const message = toMessage(retrying.token, request, tasks);
  for (let attempt = 1; ; attempt += 1) {
    const failure = await tryRecord(retrying, message, signal);
    if (failure === undefined) return;
    if (await hasBegun(retrying, request, signal)) return;
    const isAway = failure.code === Code.Unavailable && !(failure instanceof NotLeadingError);
    if (!isAway || attempt === recordAttempts || signal.aborted) throw failure;
    await sleep(recordPauseMs, undefined, { signal });
  }
}

async function tryRecord(
  { store }: Retrying,
  message: RecordTransitionsRequest,
  signal: AbortSignal,
): Promise<ConnectError | undefined> {
  try {
    const { results } = await store.recordTransitions(message, { signal });
    const [result] = results;
    if (result?.staleOwner) {
      return new NotLeadingError("another scheduler leads", "no");
    }
    if ((result?.changes.length ?? 0) > 0) return undefined;
    return new ConnectError("the request changed meanwhile; try again", Code.Aborted);
  } catch (error) {
    return ConnectError.from(error);
  }
}

/** Whether the run began all the same: its answer was lost, or more than a message holds. */
async function hasBegun(
  { store }: Retrying,
  { requestId, run }: Request,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    return (await readRequest(store, requestId, signal)).run > run;
  } catch (error) {
    if (ConnectError.from(error).code === Code.Unavailable) return false;
    throw error;
  }
}
