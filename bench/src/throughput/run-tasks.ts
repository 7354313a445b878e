import { setTimeout as sleep } from "node:timers/promises";
import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise";
import type { BenchContext } from "../measure.js";
import type { BenchSystem } from "../system/bench-system.js";

/** Hosts that the throughput is measured with, unless another number is said. */
export const throughputHosts = 200;

/** The shape of the work. */
export interface TasksToRun {
  /** How many tasks: a multiple of `hosts`. */
  readonly tasks: number;
  /** How many hosts play; the command goes to all of them. Default 200. */
  readonly hosts?: number;
  /** Which they are. Default `sim-*`, what `playHosts` calls its own. */
  readonly select?: string;
  /** How long the command is: its last argument fills it up. Default 1,024 bytes. */
  readonly commandBytes?: number;
  /** How many submits are under way at a time. Default 4. */
  readonly submits?: number;
}

/** What a run of tasks came to. */
export interface TasksRun {
  readonly tasks: number;
  readonly seconds: number;
  readonly tasksPerSecond: number;
}

/**
 * Runs so many tasks, from the first submit until MySQL has every one as COMPLETED: command lines on all hosts, PARALLEL, a request each, so
 * that a host is sent up to four at a time. The hosts must be connected (`system.playHosts(200, "--duration", "0ms")`) and nothing else
 * may run. Rejects when a task ends otherwise, or when a minute passes in which none ends.
 */
export async function runTasks(
  system: BenchSystem,
  {
    tasks,
    hosts = throughputHosts,
    select = "sim-*",
    commandBytes = 1_024,
    submits = 4,
  }: TasksToRun,
  { signal }: Pick<BenchContext, "signal">,
): Promise<TasksRun> {
  const requests = Math.ceil(tasks / hosts);
  const argv = ["/bin/true", "x".repeat(commandBytes - "/bin/true".length)];
  const database = await createConnection(system.installation.databaseUrl);
  try {
    const ids: bigint[] = [];
    let asked = 0;
    const submitter = async () => {
      while (asked < requests) {
        asked += 1;
        ids.push(await system.submitLine(select, { argv, parallel: true }));
      }
    };
    const begin = performance.now();
    await Promise.all(Array.from({ length: submits }, submitter));
    await untilOver(database, signal);
    const seconds = (performance.now() - begin) / 1_000;
    const ended = await completed(database, ids);
    if (ended !== requests * hosts) {
      throw new Error(`${ended} of ${requests * hosts} tasks completed`);
    }
    return { tasks: ended, seconds, tasksPerSecond: ended / seconds };
  } finally {
    await database.end();
  }
}

const lookEveryMs = 50;
const stalledMs = 60_000;

/** Waits until no request is open. One query of an index each time, so that it takes nothing from what is measured. */
async function untilOver(database: Connection, signal: AbortSignal): Promise<void> {
  let last = Number.POSITIVE_INFINITY;
  let lastAt = performance.now();
  for (;;) {
    const open = await count(database, "select count(*) as n from request where open = 1");
    if (open === 0) return;
    if (open < last) lastAt = performance.now();
    last = open;
    if (performance.now() - lastAt > stalledMs) {
      throw new Error(`${open} requests are open, and for a minute none has ended`);
    }
    await sleep(lookEveryMs, undefined, { signal });
  }
}

function completed(database: Connection, requestIds: readonly bigint[]): Promise<number> {
  return count(
    database,
    "select count(*) as n from host_role_command where request_id in (?) and status = 'COMPLETED'",
    [requestIds.map(Number)],
  );
}

async function count(database: Connection, sql: string, values: unknown[] = []): Promise<number> {
  const [rows] = await database.query<RowDataPacket[]>(sql, values);
  return Number(rows[0]?.n);
}
