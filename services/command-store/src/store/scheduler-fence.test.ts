import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { StaleReadError } from "../database/database-errors.js";
import { execute, query } from "../database/query.js";
import { commitTogether } from "../database/transaction.js";
import { openTestDatabase, type TestDatabase } from "../testing/database.js";
import { type LeaseSeen, selectUnlessReplaced, stillLeading } from "./scheduler-fence.js";

describe("stillLeading()", () => {
  let database: TestDatabase;
  before(async () => {
    database = await openTestDatabase();
    await database.db.raw("create table written (n int not null) engine = InnoDB");
    await execute(
      database.db,
      `insert into lease (name, holder, token, counter, duration_ms, address, renewed_at)
      values ('scheduler', 's/2', 2, 1, 6000, '', 0)`,
    );
  });
  after(() => database?.close());

  const write = (token: number, at: number) => {
    const row = { sql: "insert into written (n) values (1)", bindings: [] };
    return commitTogether(database.db, [row, stillLeading(token, { at })]);
  };
  const written = async () => (await query(database.db, "select n from written")).length;
  const seen = async () => {
    const { sql, bindings } = selectUnlessReplaced(2);
    const [found] = await query<LeaseSeen>(database.db, sql, bindings);
    assert.ok(found);
    return found.at;
  };

  it("should keep from COMMIT what another scheduler has overtaken, or what has waited for long", async () => {
    await assert.rejects(write(1, await seen()), StaleReadError);
    await assert.rejects(write(2, (await seen()) - 12), StaleReadError);
    assert.equal(await written(), 0);
  });

  it("should let through what is neither", async () => {
    await write(2, (await seen()) - 5);
    assert.equal(await written(), 1);
  });
});
