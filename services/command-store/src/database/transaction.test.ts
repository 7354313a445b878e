import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { openTestDatabase, type TestDatabase } from "../testing/database.js";
import { roundTrips } from "../testing/explained.js";
import { isDuplicate, StaleReadError } from "./database-errors.js";
import { execute, query } from "./query.js";
import type { Transaction } from "./together.js";
import { commitTogether, inSnapshot, inTransaction } from "./transaction.js";

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

  const add = (trx: Transaction, id: number) =>
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

  const sentBy = (work: () => Promise<unknown>) => roundTrips(database.db, work);
  const setTo = (id: number, n: number) => ({
    sql: "update counter set n = ? where id = ?",
    bindings: [n, id],
  });
  const openTransactions = () =>
    query(
      database.db,
      `select trx_id from information_schema.innodb_trx
      where trx_mysql_thread_id in (select id from information_schema.processlist where db = database())`,
    );

  it("should send BEGIN with the first statement, and what can wait with the next or COMMIT", async () => {
    const select = "select n from counter where id = 4";
    const sent = await sentBy(() =>
      inTransaction(database.db, async (trx) => {
        await query(trx, select);
        trx.later([setTo(4, 1)]);
        assert.deepEqual(await query(trx, select), [{ n: 1 }]);
        trx.later([setTo(4, 2), setTo(4, 3)]);
      }),
    );
    const update = setTo(4, 0).sql;
    assert.deepEqual(sent, [
      `begin;\n${select}`,
      `${update};\n${select}`,
      `${update};\n${update};\ncommit`,
    ]);
    assert.equal(await countOf(4), 3);
    const alone = await sentBy(() =>
      inTransaction(database.db, (trx) => trx.finish([setTo(4, 0)])),
    );
    assert.deepEqual(alone, [`begin;\n${update};\ncommit`]);
    const written = await sentBy(() =>
      inTransaction(database.db, async (trx) => trx.later([setTo(4, 0)])),
    );
    assert.deepEqual(written, [`begin;\n${update};\ncommit`]);
  });

  it("should do nothing, and run again, when a statement does not match its rows, wherever it stands", async () => {
    const wrong = { ...setTo(4, 9), rows: 2 };
    const works: ((trx: Transaction) => Promise<unknown>)[] = [
      (trx) => trx.send([wrong, setTo(4, 8)]),
      async (trx) => trx.later([wrong, setTo(4, 8)]),
      (trx) => trx.finish([wrong]),
    ];
    for (const work of works) {
      let runs = 0;
      const twice = async (trx: Transaction) => {
        runs += 1;
        if (runs === 1) await work(trx);
      };
      await inTransaction(database.db, twice);
      assert.equal(runs, 2);
      assert.deepEqual(await openTransactions(), []);
      assert.equal(await countOf(4), 0);
    }
    await assert.rejects(inTransaction(database.db, works[2] as never), StaleReadError);
  });

  it("should tell the answers of statements that must match their rows as of all others", async () => {
    const one = { sql: "select ? as n", bindings: [1] };
    const answers = await inTransaction(database.db, async (trx) => {
      trx.later([{ ...setTo(4, 7), rows: 1 }]);
      // Matched, though not changed.
      return trx.send([{ ...setTo(4, 7), rows: 1 }, one, { ...setTo(-1, 0), rows: 0 }, one]);
    });
    const [first, second, third, fourth] = answers;
    assert.deepEqual([second, fourth], [[{ n: 1 }], [{ n: 1 }]]);
    const affected = [first, third].map(
      (each) => each && "affectedRows" in each && each.affectedRows,
    );
    assert.deepEqual(affected, [1, 0]);
    await commitTogether(database.db, [setTo(4, 0)]);
  });

  it("should tell an error of a number that is too large as it is where no rows were to be matched", async () => {
    let runs = 0;
    await assert.rejects(
      inTransaction(database.db, (trx) => {
        runs += 1;
        return trx.finish([
          { ...setTo(4, 0), rows: 1 },
          { sql: "select pow(10, 999)", bindings: [] },
        ]);
      }),
      { code: "ER_DATA_OUT_OF_RANGE" },
    );
    assert.equal(runs, 1);
  });

  it("should send nothing for work that has nothing to send, and drop what waits when it fails", async () => {
    assert.deepEqual(await sentBy(() => inTransaction(database.db, async () => 7)), []);
    const sent = await sentBy(() =>
      assert.rejects(
        inTransaction(database.db, async (trx) => {
          trx.later([setTo(4, 9)]);
          throw new TypeError("a mistake");
        }),
        TypeError,
      ),
    );
    assert.deepEqual(sent, []);
    assert.equal(await countOf(4), 0);
  });

  it("should leave nothing open when a statement fails that BEGIN, or COMMIT, goes with", async () => {
    const wrong = { sql: "insert into counter (id, n) values (1, 0)", bindings: [] };
    const works: ((trx: Transaction) => Promise<unknown>)[] = [
      (trx) => trx.send([setTo(4, 9), wrong]),
      async (trx) => trx.later([setTo(4, 9), wrong]),
      (trx) => trx.finish([setTo(4, 9), wrong]),
    ];
    for (const work of works) {
      await assert.rejects(inTransaction(database.db, work), isDuplicate);
      assert.deepEqual(await openTransactions(), []);
      assert.equal(await countOf(4), 0);
    }
  });

  it("should run both transactions of a deadlock to their end that one finds out with COMMIT", async () => {
    let runs = 0;
    const ready = [deferred(), deferred()] as const;
    const work = (mine: 0 | 1) =>
      inTransaction(database.db, async (trx) => {
        runs += 1;
        await add(trx, 1 + mine);
        ready[mine].resolve();
        await ready[1 - mine]?.promise;
        trx.later([{ sql: "update counter set n = n + 1 where id = ?", bindings: [2 - mine] }]);
      });
    const before = [await countOf(1), await countOf(2)].map(Number);
    await Promise.all([work(0), work(1)]);
    assert.equal(runs, 3);
    assert.deepEqual(
      [await countOf(1), await countOf(2)],
      before.map((n) => n + 2),
    );
  });

  it("should run again when its connection breaks in the round trip of COMMIT, before or after it", async () => {
    const [from = 0] = [await countOf(3)];
    let runs = 0;
    await inTransaction(database.db, async (trx) => {
      runs += 1;
      await add(trx, 3);
      const [me] = await query<{ id: number }>(trx, "select connection_id() as id");
      if (runs === 1) trx.later([{ sql: `kill ${me?.id ?? 0}`, bindings: [] }]);
    });
    assert.equal(runs, 2);
    assert.equal(await countOf(3), from + 1);
    runs = 0;
    await inTransaction(database.db, async (trx) => {
      runs += 1;
      const [me] = await query<{ id: number }>(trx, "select connection_id() as id");
      // Work meets its own effect, and must know it.
      if ((await countOf(3)) === from + 2) return;
      await add(trx, 3);
      trx.later([
        { sql: "commit", bindings: [] },
        { sql: `kill ${me?.id ?? 0}`, bindings: [] },
      ]);
    });
    assert.equal(runs, 2);
    assert.equal(await countOf(3), from + 2);
  });

  const countOfIn = async (trx: Transaction, id: number) =>
    (await query<{ n: number }>(trx, "select n from counter where id = ?", [id]))[0]?.n;

  it("should see one moment in a snapshot, and every moment outside", async () => {
    await execute(database.db, "update counter set n = 0 where id = 4");
    const seen = (run: typeof inSnapshot) =>
      run(database.db, async (trx) => {
        const first = await countOfIn(trx, 4);
        await execute(database.db, "update counter set n = n + 1 where id = 4");
        return [first, await countOfIn(trx, 4)];
      });
    assert.deepEqual(await seen(inSnapshot), [0, 0]);
    assert.deepEqual(await seen(inTransaction), [1, 2]);
  });
});
