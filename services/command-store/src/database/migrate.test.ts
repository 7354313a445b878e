import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openTestDatabase, silent } from "../testing/database.js";
import { openDatabase } from "./database.js";
import { migrate } from "./migrate.js";
import { execute, query } from "./query.js";

describe("migrate()", () => {
  it("should make the schema once when two replicas start at once", async () => {
    const test = await openTestDatabase({ empty: true });
    const other = openDatabase({ url: test.url, log: silent });
    try {
      await Promise.all([migrate(test.db, silent), migrate(other, silent)]);
      assert.deepEqual(await query(test.db, "select name from knex_migrations"), [
        { name: "0001-store" },
      ]);
      assert.equal((await query(test.db, "select * from store")).length, 1);
    } finally {
      await other.destroy();
      await test.close();
    }
  });

  it("should take over from a process that died while it migrated", async () => {
    const test = await openTestDatabase();
    try {
      await test.db.raw("drop table task_output");
      await execute(test.db, "delete from knex_migrations");
      await execute(test.db, "update knex_migrations_lock set is_locked = 1");
      await execute(test.db, "update migration_lock set holder = 'gone'");
      await migrate(test.db, silent);
      assert.deepEqual(await query(test.db, "select * from task_output"), []);
      assert.deepEqual(await query(test.db, "select holder from migration_lock"), [{ holder: "" }]);
    } finally {
      await test.close();
    }
  });
});
