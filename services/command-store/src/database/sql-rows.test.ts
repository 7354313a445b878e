import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { openTestDatabase, type TestDatabase } from "../testing/database.js";
import { execute, query } from "./query.js";
import { sqlRows } from "./sql-rows.js";
import { newId } from "./statement.js";
import { commitTogether } from "./transaction.js";

describe("sqlRows()", () => {
  let database: TestDatabase;
  before(async () => {
    database = await openTestDatabase();
    await database.db.raw(
      "create table cell (id bigint auto_increment primary key, parent bigint null, name varchar(50) null, data blob null)",
    );
  });
  after(() => database?.close());

  it("should write what is read back, whatever it is", async () => {
    const names = [
      "",
      "it's",
      'a "b"',
      "\\",
      "\\'); drop table cell; -- ",
      "?",
      ":a",
      "é\n\0😀",
      null,
    ];
    const rows = names.map((name, n) => [n + 1, n, name, Buffer.from(name ?? "", "utf8")]);
    await execute(database.db, "insert into cell values ?", [sqlRows(rows)]);
    const stored = await query(database.db, "select * from cell order by id");
    assert.deepEqual(
      stored,
      rows.map(([id, parent, name, data]) => ({ id, parent, name, data })),
    );
  });

  it("should put SQL into its place, as the id of a row before it", async () => {
    const first = { sql: "insert into cell (name) values (?)", bindings: ["parent"] };
    const children = sqlRows([
      [newId, "x"],
      [newId, "x"],
    ]);
    await commitTogether(database.db, [
      first,
      { sql: "insert into cell (parent, name) values ?", bindings: [children] },
    ]);
    const [row] = await query(
      database.db,
      "select count(*) as n from cell c join cell p on p.id = c.parent where p.name = 'parent' and c.name = 'x'",
    );
    assert.deepEqual(row, { n: 2 });
  });
});
