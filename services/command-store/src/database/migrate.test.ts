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

  it("should refuse a database that another build made, and leave it as it is", async () => {
    const test = await openTestDatabase();
    try {
      await migrate(test.db, silent);
      const other =
        /made by another build of Howdah: its migration 0001-store is not .* empty database/;
      await execute(test.db, "update migration_digest set digest = ?", ["0".repeat(64)]);
      await assert.rejects(migrate(test.db, silent), other);
      // As builds did that kept no digests.
      await test.db.raw("drop table migration_digest");
      await assert.rejects(migrate(test.db, silent), other);
      assert.equal(await test.db.schema.hasTable("migration_digest"), false);
    } finally {
      await test.close();
    }
  });

  it("should do with a database that a newer build has migrated further", async () => {
    const test = await openTestDatabase();
    try {
      const later =
        "insert into knex_migrations (name, batch, migration_time) values (?, 2, now())";
      await execute(test.db, later, ["0002-later"]);
      await migrate(test.db, silent);
    } finally {
      await test.close();
    }
  });
});
