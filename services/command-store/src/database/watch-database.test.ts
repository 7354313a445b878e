import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Knex } from "knex";
import { silent } from "../testing/database.js";
import { watchDatabase } from "./watch-database.js";

const lookMs = 20;

/** Watches a pool that says whether it was asked. */
function watched(t: TestContext) {
  const pool = new EventEmitter();
  const world = { pool, asked: 0, answers: true, told: [] as boolean[] };
  const raw = () => ({
    timeout: async () => {
      world.asked += 1;
      pool.emit(world.answers ? "query-response" : "query-error");
      if (!world.answers) throw new Error("away");
    },
  });
  const over = new AbortController();
  const db = Object.assign(pool, { raw }) as unknown as Knex;
  const tell = (reachable: boolean) => world.told.push(reachable);
  const watching = watchDatabase(db, silent, over.signal, tell, lookMs);
  t.after(async () => {
    over.abort();
    await watching;
    assert.deepEqual(pool.eventNames(), [], "it listens on");
  });
  return world;
}

describe("watchDatabase()", { timeout: 20_000 }, () => {
  it("asks nothing (but once after this machine stood still) while others are answered, and asks again once nobody is", async (t) => {
    const world = watched(t);
    assert.equal(world.asked, 1);
    for (let looks = 0; looks < 10; looks += 1) {
      // Others are answered just before it looks, however late this machine is.
      setTimeout(() => world.pool.emit("query-response"), lookMs - 1);
      world.pool.emit("query-response");
      await sleep(lookMs);
    }
    assert.ok(world.asked <= 3, `asked ${world.asked} times`);
    while (world.asked < 6) await sleep(lookMs);
  });

  it("asks soon after a statement has failed, tells of it once, and once more when it is answered", async (t) => {
    const world = watched(t);
    world.answers = false;
    world.pool.emit("query-error");
    while (world.asked < 4) await sleep(lookMs);
    assert.deepEqual(world.told, [false]);
    world.answers = true;
    while (world.told.length < 2) await sleep(lookMs);
    assert.deepEqual(world.told, [false, true]);
  });
});
