import { statfs } from "node:fs/promises";
import { openDatabase } from "@howdah/command-store/database/database";
import { query } from "@howdah/command-store/database/query";
import { silent } from "@howdah/command-store/testing/database";
import { multiplyHistory } from "@howdah/command-store/testing/make-history";
import { readSizes } from "@howdah/command-store/testing/table-sizes";
import { type BenchContext, BenchSkipped } from "../measure.js";
import type { BenchSystem } from "../system/bench-system.js";
import { runTasks } from "../throughput/run-tasks.js";
import { until } from "../until.js";

/** A store's history, as it is now. */
export interface History {
  /** Finished tasks. */
  readonly tasks: number;
  /** How many of them were run; the others are copies. Undefined when all were there already. */
  readonly run?: number;
  /** Data and indexes of all tables, by the server's own count. */
  readonly bytes: number;
}

/** How long the loading may take: ten million tasks take ten minutes on two cores. */
const loadLimitMs = 45 * 60_000;
/** What a task takes up on the disk, with room for the server's logs, and pages that are half full. */
const diskBytesEach = 450;
const spareBytes = 3 * 2 ** 30;

/** Throws `BenchSkipped` unless there is room for so many finished tasks in a folder. */
export async function checkRoom(folder: string, tasks: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const needed = tasks * diskBytesEach + spareBytes;
  if (bavail * bsize >= needed) return;
  const [free, want] = [bavail * bsize, needed].map((bytes) => (bytes / 2 ** 30).toFixed(1));
  throw new BenchSkipped(
    `${tasks} finished tasks need ${want} GiB below ${folder}, ${free} are free; TMPDIR names another folder`,
  );
}

/**
 * Gives an installation that is idle a history of so many finished tasks, unless it has one: tasks that `runTasks` has it run, with
 * their commands and without output, copied inside the server. Then waits until all of it is on the disk, so that nothing of the
 * loading is left to do.
 */
export async function loadHistory(
  system: BenchSystem,
  { tasks, pattern }: { readonly tasks: number; readonly pattern: number },
  { signal, log }: Pick<BenchContext, "signal" | "log">,
): Promise<History> {
  const db = openDatabase({ url: system.installation.databaseUrl, log: silent });
  const limited = AbortSignal.any([signal, AbortSignal.timeout(loadLimitMs)]);
  let run: number | undefined;
  try {
    if ((await countTasks(db)) < tasks) {
      await runTasks(system, { tasks: pattern }, { signal });
      log(`${tasks} finished tasks are loaded`);
      run = await countTasks(db);
      // Until they are all there; nothing else writes.
      await db.raw("set global innodb_flush_log_at_trx_commit = 0");
      let told = performance.now();
      await multiplyHistory(db, {
        ...{ tasks, pattern: run, signal: limited },
        tell(count) {
          if (performance.now() - told < 30_000) return;
          told = performance.now();
          log(`${count} finished tasks are there`);
        },
      });
      await db.raw("set global innodb_flush_log_at_trx_commit = 1");
    }
    await untilFlushed(db, limited);
    const sizes = await readSizes(db);
    return {
      tasks: await countTasks(db),
      ...(run === undefined ? {} : { run }),
      bytes: sizes.reduce((sum, size) => sum + size.bytes, 0),
    };
  } finally {
    await db.destroy();
  }
}

type Database = ReturnType<typeof openDatabase>;

async function countTasks(db: Database): Promise<number> {
  // By the counters of roles: a hundredth of the rows.
  const [row] = await query<{ tasks: number }>(
    db,
    "select cast(coalesce(sum(completed), 0) as unsigned) as tasks from role_success_criteria",
  );
  return Number(row?.tasks);
}

/** Has the server write what it holds in memory only, and waits for it. */
async function untilFlushed(db: Database, signal: AbortSignal): Promise<void> {
  const [setting] = await query<{ most: number }>(
    db,
    "select @@global.innodb_max_dirty_pages_pct as most",
  );
  await db.raw("set global innodb_max_dirty_pages_pct = 0");
  try {
    const isFlushed = async () => {
      const [row] = await query<{ Value: string }>(
        db,
        "show global status like 'Innodb_buffer_pool_pages_dirty'",
      );
      return Number(row?.Value) < 50;
    };
    await until(isFlushed, "the server to write", { signal, mostMs: loadLimitMs, everyMs: 200 });
  } finally {
    await db.raw("set global innodb_max_dirty_pages_pct = ?", [setting?.most ?? 90]);
  }
}
