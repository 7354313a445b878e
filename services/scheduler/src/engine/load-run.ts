import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { Request, Task } from "@howdah/proto/howdah/v1/request";
import type { TaskStatus } from "@howdah/state/statuses";
import type { RunContents, Standing } from "./run-contents.js";
import { backoffOf, runOptions } from "./run-options.js";
import type { RunTask } from "./run-task.js";

/** Tasks in a page: with long host names and reasons a page must stay below the limit of a message, 4 MiB. */
export const taskPageSize = 4_000;

/** Reads a request from the store, to be driven on from where it stands. */
export async function loadRun(
  store: Client<typeof CommandStoreService>,
  requestId: bigint,
  signal: AbortSignal,
): Promise<RunContents> {
  const { request, stages } = await store.getRequest({ requestId }, { signal });
  if (request === undefined) throw new ConnectError(`request ${requestId} is empty`, Code.Internal);
  const roleIndex = new Map<string, number>();
  for (const { stageId, roles } of stages) {
    roles.forEach((role, at) => {
      roleIndex.set(`${stageId}/${role.role}/${role.roleCommand}/${role.customCommand}`, at);
    });
  }
  const options = runOptions(request.options);
  const tasks: RunTask[] = [];
  const hostNames = new Map<bigint, string>();
  let pageToken = "";
  do {
    const page = await store.listTasks(
      { requestId, pageSize: taskPageSize, pageToken },
      { signal },
    );
    for (const task of page.tasks) {
      tasks.push(toRunTask(task, roleIndex));
      if (options.offlineExpiryMs !== undefined) hostNames.set(task.hostId, task.hostName);
    }
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return {
    requestId,
    // Read before the tasks, which may be newer: what is seen twice does no harm.
    version: request.version,
    ...{ options, hostNames, ageMs: Number(request.ageMs) },
    ...standingOf(request),
    stages: stages.map(({ roles }) => ({
      roles: roles.map((role) => {
        const { successFactor, blockers, manual, background } = role;
        const retryMs = Number(role.retryMs);
        const backoff = backoffOf(request.options, role);
        return {
          ...{ name: role.role, successFactor, blockers, manual, background, retryMs },
          ...(backoff && { backoff }),
        };
      }),
    })),
    tasks,
  };
}

/** What the store says about whether a request goes on. */
export function standingOf(request: Request): Standing {
  const { aborted, cancelRequested, abortReason, run, paused, pauseReason } = request;
  return {
    run,
    stopping: aborted || cancelRequested,
    cancelRequested,
    reason: abortReason,
    paused,
    pauseReason,
  };
}

function toRunTask(task: Task, roleIndex: ReadonlyMap<string, number>): RunTask {
  const key = `${task.stageId}/${task.role}/${task.roleCommand}/${task.customCommand}`;
  const at = roleIndex.get(key);
  if (at === undefined) {
    throw new ConnectError(`task ${task.taskId}: its stage has no role ${key}`, Code.Internal);
  }
  return {
    taskId: task.taskId,
    requestId: task.requestId,
    stageId: task.stageId,
    roleIndex: at,
    hostId: task.hostId,
    batch: task.batch,
    timeoutMs: Number(task.timeoutMs),
    status: task.status as TaskStatus,
    attempt: task.attempt,
    version: task.changeVersion,
    cancelRequested: task.cancelRequested,
    sessionEpoch: task.sessionEpoch,
    asked: false,
    backingOff: false,
    since: performance.now(),
  };
}
