import { createBoundedMap } from "../bounded-map.js";
import type { Statement } from "../database/statement.js";
import { type Database, together } from "../database/together.js";

/** Whose tasks are: what is to be locked before they change. A task's request never changes, so this process reads each once while it keeps it in mind. */
export interface TaskRequests {
  /** The requests of tasks; tasks that do not exist have none. */
  of(db: Database, taskIds: readonly number[]): Promise<number[]>;
  /** As `of`, read anew: for tasks that are not where they were. */
  again(db: Database, taskIds: readonly number[]): Promise<number[]>;
  /** Takes what was read of tasks. */
  keep(tasks: Iterable<TaskKey>): void;
}

/** A task and its request. */
export interface TaskKey {
  readonly taskId: number;
  readonly requestId: number;
}

/** Keeps the last 100,000 tasks in mind: some MB. */
export function createTaskRequests(): TaskRequests {
  const known = createBoundedMap<number, number>(100_000);

  function keep(tasks: Iterable<TaskKey>): void {
    for (const { taskId, requestId } of tasks) known.set(taskId, requestId);
  }

  async function of(db: Database, taskIds: readonly number[]): Promise<number[]> {
    const missing = taskIds.filter((taskId) => known.get(taskId) === undefined);
    const found = new Set(taskIds.flatMap((taskId) => known.get(taskId) ?? []));
    if (missing.length > 0) {
      const [rows] = await together(db, [selectKeys(missing)]);
      keep(rows as readonly TaskKey[]);
      for (const { requestId } of rows as readonly TaskKey[]) found.add(requestId);
    }
    return [...found];
  }

  return {
    keep,
    of,
    again(db, taskIds) {
      for (const taskId of taskIds) known.delete(taskId);
      return of(db, taskIds);
    },
  };
}

function selectKeys(taskIds: readonly number[]): Statement {
  return {
    sql: "select task_id as taskId, request_id as requestId from host_role_command where task_id in (?)",
    bindings: [taskIds],
  };
}
