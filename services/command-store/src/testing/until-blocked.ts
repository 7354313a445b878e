import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Knex } from "knex";
import { query } from "../database/query.js";

/** Waits until a transaction of this database waits for another's. */
export async function untilBlocked(db: Knex): Promise<void> {
  const sql = `select trx_id from information_schema.innodb_trx where trx_state = 'LOCK WAIT'
    and trx_mysql_thread_id in (select id from information_schema.processlist where db = database())`;
  const end = performance.now() + 10_000;
  while ((await query(db, sql)).length === 0) {
    assert.ok(performance.now() < end, "nobody waits for a lock");
    // The server shows what it found at most ten times a second, counted from the last look.
    await sleep(150);
  }
}
