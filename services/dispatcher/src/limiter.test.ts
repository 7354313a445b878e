import assert from "node:assert/strict";
import { test } from "node:test";
import { createLimiter } from "./limiter.js";
import { deferred } from "./testing/fixture.js";

test("no more run at once than allowed; who leaves while waiting never runs", async () => {
  const limiter = createLimiter(2);
  const gate = deferred();
  let running = 0;
  let most = 0;
  const ran: number[] = [];
  const work = (id: number) => async () => {
    running += 1;
    most = Math.max(most, running);
    ran.push(id);
    await gate.promise;
    running -= 1;
  };
  const leaving = new AbortController();
  const never = new AbortController().signal;
  const all = [1, 2, 3, 4, 5].map((id) => limiter.run(work(id), id === 4 ? leaving.signal : never));
  assert.equal(limiter.waiting, 3);
  leaving.abort(new Error("gone"));
  await assert.rejects(all[3] as Promise<void>, /gone/);
  gate.resolve();
  await Promise.all([all[0], all[1], all[2], all[4]]);
  assert.deepEqual(ran, [1, 2, 3, 5]);
  assert.equal(most, 2);
  await assert.rejects(
    limiter.run(() => Promise.reject(new Error("failed")), never),
    /failed/,
  );
  assert.equal(await limiter.run(async () => "free", never), "free");

  const leave = [await limiter.enter(never), await limiter.enter(never)];
  const third = limiter.enter(never);
  assert.equal(limiter.waiting, 1);
  leave[0]?.();
  leave[0]?.(); // gives its place back once
  (await third)();
  leave[1]?.();
  assert.equal(limiter.waiting, 0);
});
