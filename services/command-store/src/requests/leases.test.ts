import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { openTestDatabase, type TestDatabase } from "../testing/database.js";
import { startStore, type TestStore } from "../testing/store.js";

describe("leases", () => {
  let database: TestDatabase;
  let store: TestStore;
  let other: TestStore;
  before(async () => {
    database = await openTestDatabase();
    store = await startStore(database.url);
    other = await startStore(database.url);
  });
  after(async () => {
    await store?.stop();
    await other?.stop();
    await database?.close();
  });

  async function acquire(
    name: string,
    holder: string,
    expired: { expiredToken?: bigint; expiredCounter?: bigint } = {},
    at = store,
  ) {
    const { lease, acquired } = await at.client.acquireLease({
      name,
      holder,
      address: `${holder}:1`,
      durationMs: 6_000n,
      ...expired,
    });
    assert.ok(lease);
    return { acquired, holder: lease.holder, token: lease.token, counter: lease.counter };
  }

  const lost = (error: unknown) =>
    error instanceof ConnectError && error.code === Code.FailedPrecondition;

  it("should give a free lease to one of those who want it", async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, i) => acquire("race", `n${i}/1`, {}, i % 2 ? store : other)),
    );
    assert.equal(answers.filter(({ acquired }) => acquired).length, 1);
    assert.equal(new Set(answers.map(({ holder }) => holder)).size, 1);
    assert.ok(answers.every(({ token, counter }) => token === 1n && counter === 1n));
  });

  it("should count renewals, and keep others out", async () => {
    const { token } = await acquire("kept", "a/1");
    await store.client.renewLease({ name: "kept", token });
    const refused = await acquire("kept", "b/1");
    assert.deepEqual([refused.acquired, refused.holder, refused.counter], [false, "a/1", 2n]);
  });

  it("should ask the database once for a renewal, and for a standby's look", async () => {
    const { token } = await acquire("cheap", "a/1");
    const sent: string[] = [];
    const note = ({ sql }: { sql: string }) => sent.push(sql.split(" ", 1)[0] ?? "");
    store.db.on("query", note);
    try {
      await store.client.renewLease({ name: "cheap", token });
      assert.equal((await acquire("cheap", "b/1")).acquired, false);
    } finally {
      store.db.removeListener("query", note);
    }
    assert.deepEqual(sent, ["update", "select"]);
  });

  it("should give it to who watched it unchanged, but not once it was renewed", async () => {
    const { token, counter } = await acquire("expired", "a/1");
    const seen = { expiredToken: token, expiredCounter: counter };
    await store.client.renewLease({ name: "expired", token });
    assert.equal((await acquire("expired", "b/1", seen)).acquired, false);
    const taken = await acquire("expired", "b/1", { ...seen, expiredCounter: counter + 1n });
    assert.deepEqual([taken.acquired, taken.token, taken.counter], [true, token + 1n, 1n]);
    await assert.rejects(store.client.renewLease({ name: "expired", token }), lost);
  });

  it("should let a new start of the same instance take over at once", async () => {
    const first = await acquire("restart", "n1/aaa");
    const second = await acquire("restart", "n1/bbb");
    assert.deepEqual([second.acquired, second.token], [true, first.token + 1n]);
    await assert.rejects(store.client.renewLease({ name: "restart", token: first.token }), lost);
    assert.equal((await acquire("restart", "n11/bbb")).acquired, false);
  });

  it("should keep the token when the holder asks again", async () => {
    const first = await acquire("repeat", "n1/aaa");
    const again = await acquire("repeat", "n1/aaa");
    assert.deepEqual([again.acquired, again.token, again.counter], [true, first.token, 2n]);
  });

  it("should be free once it was given back, by its holder only", async () => {
    const { token } = await acquire("back", "a/1");
    await store.client.releaseLease({ name: "back", token: token + 1n });
    assert.equal((await acquire("back", "b/1")).acquired, false);
    await store.client.releaseLease({ name: "back", token });
    await assert.rejects(store.client.renewLease({ name: "back", token }), lost);
    const next = await acquire("back", "b/1");
    assert.deepEqual([next.acquired, next.token], [true, token + 1n]);
  });

  it("should list the leases of one kind, taking the prefix as it is", async () => {
    await acquire("dispatcher/d1", "d1/1");
    await acquire("dispatcher/d2", "d2/1");
    const { leases } = await store.client.listLeases({ prefix: "dispatcher/" });
    assert.deepEqual(
      leases.map(({ name, holder, durationMs }) => [name, holder, durationMs]),
      [
        ["dispatcher/d1", "d1/1", 6_000n],
        ["dispatcher/d2", "d2/1", 6_000n],
      ],
    );
    assert.deepEqual((await store.client.listLeases({ prefix: "dis%" })).leases, []);
  });
});
