import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Knex } from "knex";
import { silent } from "../testing/database.js";
import { createChangeFeed } from "./change-feed.js";

/** A database in which every request stays as it is. */
const unchanging = { raw: async () => [[{ requestId: 1, version: 7 }]] } as unknown as Knex;

describe("createChangeFeed()", () => {
  const within = async (what: string, promise: Promise<void>) => {
    const over = new AbortController();
    const late = sleep(10_000, "late", { signal: over.signal }).catch(() => "over");
    assert.notEqual(await Promise.race([promise, late]), "late", what);
    over.abort();
  };

  it("should tell what was committed while the request was being read", async () => {
    const feed = createChangeFeed(unchanging, silent);
    const follower = feed.follow(1);
    const { signal } = new AbortController();
    follower.reading();
    feed.requestsChanged([1]);
    await within("told while reading", follower.above(7, signal));
    follower.reading();
    const waiting = follower.above(7, signal);
    feed.requestsChanged([1]);
    await within("told while waiting", waiting);
    follower.close();
  });

  it("should tell what changes soon after a look as one, and the end at once", async () => {
    const feed = createChangeFeed(unchanging, silent);
    const follower = feed.follow(1);
    const { signal } = new AbortController();
    follower.reading();
    const readAt = performance.now();
    feed.requestsChanged([1]);
    const waiting = follower.above(7, signal);
    feed.requestsChanged([1], new Set([2]));
    await within("told when it has rested", waiting);
    assert.ok(performance.now() - readAt >= 90, "not before");
    follower.reading();
    const woken = await Promise.race([
      (async () => {
        const last = follower.above(7, signal);
        feed.requestsChanged([1], new Set([1]));
        await last;
        return "the end";
      })(),
      sleep(80, "the pause"),
    ]);
    assert.equal(woken, "the end");
    follower.close();
  });

  it("should find what others committed, and wait for nothing once it is closed or aborted", async () => {
    const feed = createChangeFeed(unchanging, silent);
    const follower = feed.follow(1);
    const { signal } = new AbortController();
    follower.reading();
    await within("found in the database", follower.above(6, signal));
    const caller = new AbortController();
    const waiting = follower.above(7, caller.signal);
    caller.abort();
    await within("aborted", waiting);
    const last = follower.above(7, signal);
    follower.close();
    await within("closed", last);
  });
});
