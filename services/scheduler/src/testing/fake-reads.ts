import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { Task } from "@howdah/proto/howdah/v1/request";
import { Status } from "@howdah/proto/howdah/v1/status";
import { isDone } from "@howdah/state/statuses";
import type { Stored } from "./fake-requests.js";

type ReadCalls = Pick<
  ServiceImpl<typeof CommandStoreService>,
  "getRequest" | "getTask" | "listTasks" | "listUnfinished"
>;

/** Whose requests are read. */
export interface RequestContent {
  readonly requests: ReadonlyMap<bigint, Stored>;
  /** How often it was asked what is unfinished. */
  passes: number;
  /** Called before a request's tasks are listed. */
  readonly beforeTasks: (requestId: bigint) => Promise<void> | undefined;
}

/** The calls that read requests and tasks; `check` throws while the store is away. */
export function fakeReads(content: RequestContent, check: () => void): ReadCalls {
  const { requests } = content;
  return {
    getRequest: ({ requestId }) => {
      check();
      const { request, stages, tasks } = storedIn(requests, requestId);
      const status = (stageId: number) => {
        const rest = tasks.find((one) => one.stageId === stageId && one.status !== completed);
        return rest?.status ?? completed;
      };
      return {
        request,
        stages: stages.map(({ roles }, stageId) => ({ stageId, roles, status: status(stageId) })),
      };
    },
    getTask: ({ taskId }) => {
      check();
      const task = taskIn(requests, taskId);
      if (task !== undefined) return { task };
      throw new ConnectError(`there is no task ${taskId}`, Code.NotFound);
    },
    listTasks: async ({ requestId, changedAfterVersion, statuses }) => {
      check();
      await content.beforeTasks(requestId);
      const { request, tasks } = storedIn(requests, requestId);
      const { version } = request;
      const fits = ({ changeVersion, status }: Task) =>
        (changedAfterVersion === 0n || changeVersion > changedAfterVersion) &&
        (statuses.length === 0 || statuses.includes(status));
      return { version, tasks: tasks.filter(fits) };
    },
    listUnfinished: () => {
      check();
      content.passes += 1;
      const open = [...requests.values()].filter(({ tasks }) =>
        tasks.some(({ status }) => !isDone(status)),
      );
      return {
        requests: open.map(({ request: { requestId, version }, ownerToken }) => ({
          ...{ requestId, version, ownerToken },
        })),
      };
    },
  };
}

const completed = Status.COMPLETED;

/** A request. Throws NOT_FOUND. */
export function storedIn(requests: RequestContent["requests"], requestId: bigint): Stored {
  const found = requests.get(requestId);
  if (found !== undefined) return found;
  throw new ConnectError(`there is no request ${requestId}`, Code.NotFound);
}

/** A task of any of the requests. */
export function taskIn(requests: RequestContent["requests"], taskId: bigint): Task | undefined {
  for (const { tasks } of requests.values()) {
    const found = tasks.find((task) => task.taskId === taskId);
    if (found !== undefined) return found;
  }
  return undefined;
}
