import assert from "node:assert/strict";
import { connect } from "node:net";
import { it } from "node:test";
import { withEnds } from "../ends.js";
import { startBullQueue } from "./bull-queue.js";
import { findRedis, startRedis } from "./redis.js";

it("a Redis of our own runs BullMQ's jobs, says its version, and is gone in the end", async (t) => {
  // A test installs nothing.
  if ((await findRedis()) === undefined) return t.skip("there is no Redis");
  const [log, { signal }] = [() => {}, new AbortController()];
  const port = await withEnds(async ({ after }) => {
    const redis = await startRedis({ log, signal, after });
    assert.match(redis.version, /^[0-9]+\.[0-9]+/);
    const queue = await startBullQueue({ signal, after }, redis.port, 10);
    const shape = { bytes: 1_024, bulk: 20, producers: 2 };
    for (const jobs of [1, 50]) assert.ok((await queue.jobs(jobs, shape)) > 0);
    return redis.port;
  }, log);
  const error = await new Promise<Error>((resolve, reject) => {
    connect(port, "127.0.0.1")
      .on("error", resolve)
      .on("connect", () => reject(new Error("it listens")));
  });
  assert.match(error.message, /ECONNREFUSED/);
});
