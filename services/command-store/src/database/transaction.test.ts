import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Knex } from "knex";
import { openTestDatabase, type TestDatabase } from "../testing/database.js";
import { StaleReadError } from "./database-errors.js";
import { execute, query } from "./query.js";
import { inTransaction } from "./transaction.js";

/** A promise and the function that resolves it. */
function deferred(): { readonly promise: Promise<void>; resolve(): void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve: () => resolve() };
}

describe("inTransaction()", () => {
  let database: TestDatabase;
  before(async () => {
    database = await openTestDatabase();
    await database.db.raw(
      "create table counter (id int primary key, n int not null) engine = InnoDB",
    );
    await execute(database.db, "insert into counter (id, n) values (1, 0), (2, 0), (3, 0), (4, 0)");
  });
  after(() => database?.close());

  const add = (trx: Knex, id: number) =>
    execute(trx, "update counter set n = n + 1 where id = ?", [id]);
  const countOf = async (id: number) =>
    (await query<{ n: number }>(database.db, "select n from counter where id = ?", [id]))[0]?.n;

  it("should run both transactions of a deadlock to their end", async () => {
    let runs = 0;
    const ready = [deferred(), deferred()] as const;
    const work = (mine: 0 | 1) =>
      inTransaction(database.db, async (trx) => {
        runs += 1;
        await add(trx, 1 + mine);
        // Each waits for the other's first lock: then neither can get its second.
        ready[mine].resolve();
        await ready[1 - mine]?.promise;
        await add(trx, 2 - mine);
      });
    await Promise.all([work(0), work(1)]);
    assert.equal(runs, 3);
    assert.deepEqual([await countOf(1), await countOf(2)], [2, 2]);
  });

  it("should run again when its connection breaks before COMMIT", async () => {
    let runs = 0;
    await inTransaction(database.db, async (trx) => {
      runs += 1;
      await add(trx, 3);
      if (runs > 1) return;
      const [me] = await query<{ id: number }>(trx, "select connection_id() as id");
      await database.db.raw(`kill ${me?.id ?? 0}`);
    });
    assert.equal(runs, 2);
    assert.equal(await countOf(3), 1);
  });

  it("should give up after five more runs, and throw other errors at once", async () => {
    let runs = 0;
    await assert.rejects(
      inTransaction(database.db, async (trx) => {
        runs += 1;
        await add(trx, 4);
        throw new StaleReadError("somebody is always first");
      }),
      StaleReadError,
    );
    assert.equal(runs, 6);
    runs = 0;
    await assert.rejects(
      inTransaction(database.db, async (trx) => {
        runs += 1;
        await add(trx, 4);
        throw new TypeError("a mistake");
      }),
      TypeError,
    );
    assert.equal(runs, 1);
    assert.equal(await countOf(4), 0);
  });
});
