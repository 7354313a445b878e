import { counterColumns } from "@howdah/command-store/store/counter-columns";
import { statuses, statusName } from "@howdah/state/statuses";
import { createConnection } from "mysql2/promise";
import { outputOf, tasksEach } from "./load.js";

type Row = Record<string, number | string>;

/** Compares what a node has with what was acknowledged; says what is wrong, in a line each. */
export async function checkNode(
  url: string,
  acknowledged: ReadonlyMap<bigint, readonly bigint[]>,
): Promise<string[]> {
  const connection = await createConnection(url);
  const rows = async (sql: string) => (await connection.query(sql))[0] as Row[];
  try {
    const wrong: string[] = [];
    const counted = statuses
      .map((status) => `sum(t.status = '${statusName(status)}') as own_${counterColumns[status]}`)
      .join(", ");
    const differs = statuses
      .map((status) => `r.${counterColumns[status]} <> n.own_${counterColumns[status]}`)
      .join(" or ");
    const counters = await rows(
      `select r.request_id as requestId from role_success_criteria r join (
        select request_id, stage_id, role_index, ${counted} from host_role_command t
        group by request_id, stage_id, role_index) n
      on n.request_id = r.request_id and n.stage_id = r.stage_id and n.role_index = r.role_index where ${differs}`,
    );
    for (const { requestId } of counters) wrong.push(`counters of request ${requestId}`);

    const tasks = new Map(
      (
        await rows(
          `select t.task_id as taskId, t.status, convert(o.data using utf8mb4) as output
          from host_role_command t left join task_output o on o.task_id = t.task_id and o.attempt = 1 and o.stream = 1`,
        )
      ).map((row) => [BigInt(row.taskId ?? 0), row]),
    );
    const requests = new Map(
      (
        await rows(
          `select q.request_id as requestId, q.status, q.progress_percent as progress, q.open,
            (select count(*) from host_role_command t where t.request_id = q.request_id) as tasks from request q`,
        )
      ).map((row) => [BigInt(row.requestId ?? 0), row]),
    );
    for (const [requestId, taskIds] of acknowledged) {
      const request = requests.get(requestId);
      if (request === undefined) {
        wrong.push(`request ${requestId} was acknowledged and is gone`);
        continue;
      }
      if (request.tasks !== tasksEach) wrong.push(`request ${requestId}: ${request.tasks} tasks`);
      if (taskIds.length < tasksEach) continue;
      const { status, progress, open } = request;
      if (status !== "COMPLETED" || progress !== 100 || open !== null) {
        wrong.push(
          `request ${requestId} is ${status}, ${progress} %, although all its tasks ended`,
        );
      }
      for (const taskId of taskIds) {
        const task = tasks.get(taskId);
        if (task?.status !== "COMPLETED") {
          wrong.push(`the end of task ${taskId} was acknowledged, and it is ${task?.status}`);
        } else if (task.output !== outputOf(taskId)) {
          wrong.push(`the output of task ${taskId} is ${JSON.stringify(task.output)}`);
        }
      }
    }
    if (requests.size !== acknowledged.size) {
      wrong.push(`${requests.size} requests are stored, ${acknowledged.size} were acknowledged`);
    }
    return wrong;
  } finally {
    await connection.end();
  }
}
