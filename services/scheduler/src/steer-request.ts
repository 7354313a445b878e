import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { Request, Task } from "@howdah/proto/howdah/v1/request";
import { Resolution } from "@howdah/proto/howdah/v1/request_service";
import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { holdingStatuses, statusName } from "@howdah/state/statuses";
import type { Engine } from "./engine/engine.js";
import { standingOf } from "./engine/load-run.js";
import { NotLeadingError } from "./not-leading.js";
import { shorten } from "./planner/operation.js";

/** What is needed to steer requests that run. */
export interface Steering {
  readonly store: Client<typeof CommandStoreService>;
  readonly engine: Engine;
}

/** Reads a request as it is now. */
export async function readRequest(
  store: Client<typeof CommandStoreService>,
  requestId: bigint,
  signal: AbortSignal,
): Promise<Request> {
  const { request } = await store.getRequest({ requestId }, { signal });
  if (request !== undefined) return request;
  throw new ConnectError(`the store's answer about request ${requestId} is empty`, Code.Internal);
}

/** Reads a request that runs and is driven here. Throws FAILED_PRECONDITION when it is over, UNAVAILABLE when it is not driven yet. */
async function readDriven(
  { store, engine }: Steering,
  requestId: bigint,
  signal: AbortSignal,
): Promise<Request> {
  const request = await readRequest(store, requestId, signal);
  if (request.progressPercent === 100) {
    const { status } = request;
    const again = status === Status.COMPLETED ? "" : "; retry it to run what is not done again";
    const text = `request ${requestId} is over: it is ${statusName(status)}${again}`;
    throw new ConnectError(text, Code.FailedPrecondition);
  }
  if (engine.drives(requestId)) return request;
  throw new NotLeadingError(`request ${requestId} is not taken over yet`, "no");
}

/** Cancels a request; resolves with it once that is committed. */
export async function cancelRequest(
  steering: Steering,
  requestId: bigint,
  reason: string,
  signal: AbortSignal,
): Promise<Request> {
  if (!steering.engine.drives(requestId)) await readDriven(steering, requestId, signal);
  await steering.engine.cancelRequest(requestId, reason || "cancelled", signal);
  return await readRequest(steering.store, requestId, signal);
}

/** Pauses a request, or lets it go on; resolves with it once that is committed. Nothing happens when it is so already. */
export async function pauseRequest(
  steering: Steering,
  requestId: bigint,
  paused: boolean,
  signal: AbortSignal,
): Promise<Request> {
  const { engine, store } = steering;
  const standing = standingOf(await readDriven(steering, requestId, signal));
  const reason = paused ? "an operator paused it" : "";
  await engine.pauseRequest(requestId, { standing, paused, reason }, signal);
  return await readRequest(store, requestId, signal);
}

const eventOf = {
  [Resolution.RETRY]: TaskEvent.RESOLVED_RETRY,
  [Resolution.SKIP]: TaskEvent.RESOLVED_SKIP,
  [Resolution.ABORT]: TaskEvent.RESOLVED_ABORT,
} as const;

/** What is said about tasks that wait for a person; `taskIds` empty: about all of the request. */
export interface Resolving {
  readonly requestId: bigint;
  readonly taskIds: readonly bigint[];
  readonly resolution: keyof typeof eventOf;
}

/** Resolves tasks that are held. Throws FAILED_PRECONDITION that names a task which is not, or not in this way. */
export async function resolveTasks(
  steering: Steering,
  { requestId, taskIds, resolution }: Resolving,
  signal: AbortSignal,
): Promise<{ request: Request; resolved: number }> {
  const { store, engine } = steering;
  const request = await readDriven(steering, requestId, signal);
  const held = await listTasks(store, requestId, holdingStatuses, signal);
  const wanted = taskIds.length === 0 ? held : pick(held, taskIds);
  if (wanted === undefined || wanted.length === 0) {
    throw await notHeld(store, requestId, taskIds, held, signal);
  }
  if (resolution === Resolution.RETRY) {
    refuseRetry(wanted);
    if (standingOf(request).stopping) {
      const why = `request ${requestId} is being stopped; retry it once it is over`;
      throw new ConnectError(why, Code.FailedPrecondition);
    }
  }
  const changes = wanted.map((task) => ({ ...task, version: task.changeVersion }));
  const event = eventOf[resolution];
  const resolved = await engine.resolveTasks(requestId, changes, event, signal);
  return { request: await readRequest(store, requestId, signal), resolved };
}

function pick(held: readonly Task[], taskIds: readonly bigint[]): Task[] | undefined {
  const byId = new Map(held.map((task) => [task.taskId, task]));
  const wanted = [...new Set(taskIds)].flatMap((taskId) => byId.get(taskId) ?? []);
  return wanted.length === new Set(taskIds).size ? wanted : undefined;
}

async function notHeld(
  store: Client<typeof CommandStoreService>,
  requestId: bigint,
  taskIds: readonly bigint[],
  held: readonly Task[],
  signal: AbortSignal,
): Promise<ConnectError> {
  const isHeld = new Set(held.map(({ taskId }) => taskId));
  const taskId = taskIds.find((id) => !isHeld.has(id));
  if (taskId === undefined) {
    const text = `no task of request ${requestId} waits for a person`;
    return new ConnectError(text, Code.FailedPrecondition);
  }
  const { task } = await store.getTask({ taskId }, { signal });
  if (task?.requestId !== requestId) {
    const text = `task_ids: task ${taskId} is of request ${task?.requestId}, not of ${requestId}`;
    return new ConnectError(text, Code.InvalidArgument);
  }
  const status = statusName(task.status);
  const text = `task ${taskId} is ${status}: it does not wait for a person`;
  return new ConnectError(text, Code.FailedPrecondition);
}

function refuseRetry(tasks: readonly Task[]): void {
  const manual = tasks.filter(({ status }) => status === Status.HOLDING);
  if (manual.length === 0) return;
  const names = shorten(manual.map(({ taskId }) => `task ${taskId}`));
  throw new ConnectError(
    `${names}: a manual step is not run again; say skip when it is done, or abort`,
    Code.FailedPrecondition,
  );
}

/** Lists a request's tasks in some statuses. */
export async function listTasks(
  store: Client<typeof CommandStoreService>,
  requestId: bigint,
  statuses: ReadonlySet<Status>,
  signal: AbortSignal,
): Promise<Task[]> {
  const tasks: Task[] = [];
  let pageToken = "";
  do {
    const page = await store.listTasks(
      { requestId, statuses: [...statuses], pageSize: 4_000, pageToken },
      { signal },
    );
    tasks.push(...page.tasks);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return tasks;
}
