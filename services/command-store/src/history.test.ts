import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { query } from "./database/query.js";
import { openTestDatabase, type TestDatabase } from "./testing/database.js";
import { apart, type Sent, type SentTogether } from "./testing/explained.js";
import { measureHotCalls } from "./testing/hot-calls.js";
import { makePattern, multiplyHistory } from "./testing/make-history.js";
import { startStore, type TestStore } from "./testing/store.js";

const pattern = 1_000;
const tasks = 100 * pattern;

/** Row of EXPLAIN. */
interface Explained {
  readonly table: string | null;
  readonly type: string | null;
  readonly rows: number | null;
}

/** Tables that grow with every request. */
const growing =
  /^(q|request|stage|s|role_success_criteria|r|host_role_command|t|execution_command|task_output|o|task_attempt|a)$/;

describe("a store with much history", () => {
  let database: TestDatabase;
  let store: TestStore;
  before(async () => {
    database = await openTestDatabase();
    store = await startStore(database.url, 1);
  });
  after(async () => {
    await store?.stop();
    await database?.close();
  });

  it("should look at as many rows for a new request as with a hundredth of it, by indexes", async () => {
    await makePattern(store, { pattern, perRequest: 50 });
    await measureHotCalls(store, 10); // what is read once and then kept in mind
    const few = await measureHotCalls(store, 10);
    await multiplyHistory(database.db, { tasks, pattern });
    const [{ count } = { count: 0 }] = await query<{ count: number }>(
      database.db,
      "select count(*) as count from host_role_command",
    );
    assert.ok(count >= tasks, `only ${count} tasks`);
    const explained: string[] = [];
    const listen = (sent: SentTogether) => {
      for (const one of apart(sent)) sentences.set(one.sql, one);
    };
    const sentences = new Map<string, Sent>();
    store.db.on("query", listen);
    const many = await measureHotCalls(store, 10);
    store.db.removeListener("query", listen);

    const named = (costs: typeof few) => new Map(costs.map(({ name, rows }) => [name, rows]));
    const before = named(few);
    for (const { name, rows } of many) {
      const was = before.get(name) ?? 0;
      assert.ok(rows <= was * 1.2 + 20, `${name}: ${rows} rows, ${was} with little history`);
    }
    for (const { sql, bindings } of sentences.values()) {
      if (!/^\s*(select|update|delete)\b/i.test(sql)) continue;
      const plan = await query<Explained>(database.db, `explain ${sql}`, bindings as never);
      for (const { table, type, rows } of plan) {
        if (table === null || !growing.test(table)) continue;
        const bounded = type !== "ALL" && type !== "index" && (rows ?? 0) < tasks / 100;
        if (!bounded) explained.push(`${table} ${type} ${rows}: ${sql}`);
      }
    }
    // Pages by primary key: the optimiser states the whole range, and the limit ends it after a page.
    const paged = explained.filter((line) => !/order by q?\.?\w*request_id desc limit/.test(line));
    assert.deepEqual(paged, []);
  });
});
