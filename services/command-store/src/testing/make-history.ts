import { Code, ConnectError } from "@connectrpc/connect";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import { OnFailure } from "@howdah/proto/howdah/v1/operation";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import type { Knex } from "knex";
import { execute, query } from "../database/query.js";
import type { Binding } from "../database/statement.js";
import { createSample, openSession, type TestStore } from "./store.js";

/** A history to make. */
export interface HistoryOptions {
  /** Finished tasks in all, a multiple of `pattern`. */
  readonly tasks: number;
  /** How many of them are made by calls of the store, with output and all; the rest are copies of these. Default 10,000. */
  readonly pattern?: number;
  /** Tasks a request, in stages of a fifth each. Default 500. */
  readonly perRequest?: number;
  /** How long ago the first request ended; the others are spread from then till now. Default 90 days. */
  readonly ageMs?: number;
  /** Told how many tasks there are, now and then. */
  readonly tell?: (tasks: number) => void;
  /** Aborted: it rejects soon. Default: never. */
  readonly signal?: AbortSignal;
}

/** Every table whose rows are a request's or a task's, and the column that says whose. */
const tables = {
  request: "request_id",
  stage: "request_id",
  role_success_criteria: "request_id",
  host_role_command: "task_id",
  execution_command: "task_id",
  task_attempt: "task_id",
  task_output: "task_id",
} as const;

const stagesEach = 5;

/**
 * Makes the pattern of a history in a store that has no requests yet: finished requests as agents would have brought them about.
 */
export async function makePattern(
  store: TestStore,
  { pattern = 10_000, perRequest = 500 }: Pick<HistoryOptions, "pattern" | "perRequest">,
): Promise<void> {
  const perStage = perRequest / stagesEach;
  const hosts: { hostId: bigint; sessionEpoch: bigint }[] = [];
  for (let n = 1; n <= perStage; n += 1) {
    const { hostId, sessionEpoch } = await openSession(store, `host-${n}.example.org`);
    hosts.push({ hostId, sessionEpoch });
  }
  const hostIds = hosts.map(({ hostId }) => hostId);
  for (let made = 0; made < pattern; made += perRequest) {
    const { request, taskIds } = await createSample(store, {
      stages: Array.from({ length: stagesEach }, (_, n) => [{ role: `ROLE_${n}`, hosts: hostIds }]),
      header: { options: { onFailure: OnFailure.CONTINUE } },
    });
    const requestId = request?.requestId ?? 0n;
    const subjects = taskIds.map((taskId, n) => ({ taskId, attempt: 1, ...hosts[n % perStage] }));
    const event = TaskEvent.RELEASED;
    const transitions = subjects.map((subject) => ({ ...subject, event }));
    await store.client.recordTransitions({
      schedulerToken: 1n,
      requests: [{ requestId, transitions }],
    });
    const { results } = await store.client.recordReports({
      reports: subjects.map((subject, n) => reportOf(subject, n)),
    });
    const bad = results.find(({ reason }) => reason !== "");
    if (bad !== undefined) throw new ConnectError(bad.reason, Code.Internal);
  }
}

/** A line of a script's log for every tenth of a second; structured output from one in five; one in fifty fails. */
function reportOf<T extends object>(subject: T, n: number) {
  const endedAtMs = BigInt(Date.now());
  const line = (i: number) =>
    `2026-01-01 00:00:0${i},123 - step ${i} of script ${n}: File['/etc/example/conf/site-${i}.xml'] written\n`;
  const stdout = Buffer.from(Array.from({ length: 3 + (n % 5) }, (_, i) => line(i)).join(""));
  const structured = Buffer.from(JSON.stringify({ version: "1.2.3", repository: n }));
  const output = [{ stream: OutputStream.STDOUT, offset: 0n, data: stdout }];
  if (n % 5 === 0) output.push({ stream: OutputStream.STRUCTURED, offset: 0n, data: structured });
  return {
    ...subject,
    event: n % 50 === 49 ? TaskEvent.FAILED : TaskEvent.SUCCEEDED,
    exitCode: n % 50 === 49 ? 1 : 0,
    startedAtMs: endedAtMs - 800n,
    endedAtMs,
    output,
    lengths: output.map(({ stream, data }) => ({ stream, length: BigInt(data.length) })),
  };
}

/**
 * Copies all requests of a store, which must be over, until it has `tasks`: rows as wide as the real ones, inside the server. Whatever
 * columns the tables have are copied as they are, but for ids and times.
 */
export async function multiplyHistory(db: Knex, options: HistoryOptions): Promise<void> {
  const { tasks, pattern = 10_000, ageMs = 90 * 86_400_000, tell = () => {} } = options;
  const [range] = await query<Record<"firstRequest" | "lastRequest", number>>(
    db,
    "select min(request_id) as firstRequest, max(request_id) as lastRequest from request",
  );
  const [ids] = await query<Record<"firstTask" | "lastTask", number>>(
    db,
    "select min(task_id) as firstTask, max(task_id) as lastTask from host_role_command",
  );
  // Up to here ids may have been given out.
  const [block] = await query<{ next: number }>(
    db,
    "select next_id as next from id_block where name = 'task'",
  );
  if (range === undefined || ids === undefined || block === undefined) {
    throw new Error("there is no pattern");
  }
  const { firstRequest, lastRequest } = range;
  const { firstTask, lastTask } = ids;
  const statements = await Promise.all(
    Object.entries(tables).map(async ([table, key]) => ({
      sql: await copyStatement(db, table, key),
      bounds: key === "task_id" ? [firstTask, lastTask] : [firstRequest, lastRequest],
    })),
  );
  const copies = Math.ceil(tasks / pattern) - 1;
  for (let n = 1; n <= copies; n += 1) {
    options.signal?.throwIfAborted();
    const shifts: Record<string, number> = {
      request: n * (lastRequest - firstRequest + 1),
      task: n * (block.next - firstTask),
      time: Math.round((ageMs * (copies - n)) / copies),
    };
    for (const { sql, bounds } of statements) {
      const names = sql.match(/:\w+/g) ?? [];
      const values: Binding[] = names.map((name) => shifts[name.slice(1)] ?? 0);
      await execute(db, sql.replace(/:\w+/g, "?"), [...values, ...bounds]);
    }
    if (n % 10 === 0 || n === copies) tell((n + 1) * pattern);
  }
  await execute(db, "update id_block set next_id = ? where name = 'task'", [
    block.next + copies * (block.next - firstTask),
  ]);
  await execute(
    db,
    `update request set create_time = create_time - ?, start_time = start_time - ?, end_time = end_time - ?
    where request_id <= ?`,
    [ageMs, ageMs, ageMs, lastRequest],
  );
}

/** `insert … select` of the rows between two keys; `:request`, `:task` and `:time` stand for what is added to ids, or taken from times. */
async function copyStatement(db: Knex, table: string, key: string): Promise<string> {
  const columns = await query<{ name: string }>(
    db,
    `select column_name as name from information_schema.columns
    where table_schema = database() and table_name = ? order by ordinal_position`,
    [table],
  );
  const values = columns.map(({ name }) => {
    if (name === "request_id") return "request_id + :request";
    if (name === "task_id") return "task_id + :task";
    if (name === "idempotency_key") return "concat('history-', request_id + :request)";
    if (table === "request" && /^(create|start|end)_time$/.test(name)) return `${name} - :time`;
    return `\`${name}\``;
  });
  const list = columns.map(({ name }) => `\`${name}\``).join(", ");
  return `insert into ${table} (${list}) select ${values.join(", ")} from ${table} where ${key} between ? and ?`;
}
