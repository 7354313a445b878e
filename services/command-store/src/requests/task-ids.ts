import type { Knex } from "knex";
import { execute, query } from "../database/query.js";
import { untilItHolds } from "../database/transaction.js";

const blockSize = 10_000;

/** Gives out task ids, each once among all replicas. */
export interface TaskIds {
  /** The next `count` ids, ascending, all above those given out before by this process. */
  take(db: Knex, count: number): Promise<number[]>;
}

/**
 * Ids come in blocks of at least 10,000, taken by compare-and-set, so that making a request waits for no row that others want. What is
 * left of a block when the process ends is never used.
 */
export function createTaskIds(): TaskIds {
  let next = 0;
  let end = 0;
  let queue: Promise<unknown> = Promise.resolve();

  async function take(db: Knex, count: number): Promise<number[]> {
    const ids: number[] = [];
    while (ids.length < count) {
      if (next === end) {
        const size = Math.max(blockSize, count - ids.length);
        next = await untilItHolds(() => takeBlock(db, size));
        end = next + size;
      }
      while (ids.length < count && next < end) ids.push(next++);
    }
    return ids;
  }

  return {
    take(db, count) {
      const taken = queue.then(() => take(db, count));
      queue = taken.catch(() => {});
      return taken;
    },
  };
}

async function takeBlock(db: Knex, size: number): Promise<number> {
  for (;;) {
    const [row] = await query<{ next: number }>(
      db,
      "select next_id as next from id_block where name = 'task'",
    );
    if (row === undefined) throw new Error("the row `task` of id_block is gone");
    const { affectedRows } = await execute(
      db,
      "update id_block set next_id = ? where name = 'task' and next_id = ?",
      [row.next + size, row.next],
    );
    if (affectedRows === 1) return row.next;
  }
}
