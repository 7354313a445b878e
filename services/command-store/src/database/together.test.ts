import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { openTestDatabase, type TestDatabase } from "../testing/database.js";
import { isDuplicate } from "./database-errors.js";
import { query } from "./query.js";
import { newId } from "./statement.js";
import { together } from "./together.js";
import { commitTogether, inTransaction } from "./transaction.js";

describe("together()", () => {
  let database: TestDatabase;
  before(async () => {
    database = await openTestDatabase();
    await database.db.raw(
      "create table parent (id bigint auto_increment primary key, name varchar(20) not null, unique key name (name))",
    );
    await database.db.raw("create table child (parent_id bigint not null, name varchar(20))");
  });
  after(() => database?.close());

  const parent = (name: string) => ({
    sql: "insert into parent (name) values (?)",
    bindings: [name],
  });
  const children = (...names: string[]) => ({
    sql: "insert into child (parent_id, name) values ?",
    bindings: [names.map((name) => [newId, name])],
  });
  const all = () =>
    query<{ name: string; children: string | null }>(
      database.db,
      `select p.name, group_concat(c.name order by c.name) as children from parent p
      left join child c on c.parent_id = p.id group by p.id order by p.name`,
    );

  it("should give the answer of each statement, those of one too", async () => {
    await inTransaction(database.db, async (trx) => {
      const [made, rows] = await together(trx, [
        parent("a; drop table child"),
        { sql: "select name from parent where id = ?", bindings: [newId] },
      ]);
      assert.ok(made !== undefined && "insertId" in made && made.insertId > 0);
      assert.deepEqual(rows, [{ name: "a; drop table child" }]);
      const [alone] = await together(trx, [{ sql: "select ? as n", bindings: [7] }]);
      assert.deepEqual(alone, [{ n: 7 }]);
    });
    await commitTogether(database.db, [{ sql: "delete from parent", bindings: [] }]);
  });

  it("should commit all of it, with the id that came about on the way", async () => {
    const [made] = await commitTogether(database.db, [parent("b"), children("x", "y")]);
    assert.ok(made !== undefined && "insertId" in made && made.insertId > 0);
    assert.deepEqual(await all(), [{ name: "b", children: "x,y" }]);
  });

  it("should commit nothing when one fails, and leave no transaction open behind it", async () => {
    await assert.rejects(
      commitTogether(database.db, [parent("c"), parent("b"), children("z")]),
      isDuplicate,
    );
    assert.deepEqual(await all(), [{ name: "b", children: "x,y" }]);
    const open = await query(
      database.db,
      `select trx_id from information_schema.innodb_trx
      where trx_mysql_thread_id in (select id from information_schema.processlist where db = database())`,
    );
    assert.equal(open.length, 0);
  });

  it("should run again after a deadlock", async () => {
    let ends = 0;
    const crossing = (first: string, second: string) =>
      commitTogether(database.db, [
        { sql: "update parent set name = name where name = ?", bindings: [first] },
        { sql: "do sleep(0.2)", bindings: [] },
        { sql: "update parent set name = name where name = ?", bindings: [second] },
      ]).then(() => {
        ends += 1;
      });
    await commitTogether(database.db, [parent("d")]);
    await Promise.all([crossing("b", "d"), crossing("d", "b")]);
    assert.equal(ends, 2);
  });
});
