import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OnFailure } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import { change, ids, type Place, run } from "../testing/runs.js";

const nothing = { giveUp: [], cancel: [], hold: [], resolve: [] };

describe("RequestRun", () => {
  it("lets only the first unfinished stage be released", () => {
    const target = run();
    assert.deepEqual(ids(target.releasable(1n)), [1]);
    assert.deepEqual(ids(target.releasable(3n)), [3]);
    for (const id of [1, 2, 3]) change(target, id, Status.COMPLETED);
    assert.deepEqual(ids(target.releasable(1n)), []);
    assert.deepEqual([...target.moveOn().hosts], [1n]);
    assert.deepEqual(ids(target.releasable(1n)), [4]);
  });

  it("takes in no change twice, and none that is older than what it knows", () => {
    const target = run();
    const news = { version: 50n };
    assert.ok(change(target, 1, Status.IN_PROGRESS, news));
    assert.equal(change(target, 1, Status.QUEUED, { version: 49n }), undefined);
    assert.equal(change(target, 1, Status.COMPLETED, news), undefined);
    assert.equal(target.task(1n)?.status, Status.IN_PROGRESS);
  });

  it("gives up what waits as soon as a role cannot succeed, and cancels what runs only when that role has ended", () => {
    const target = run();
    for (const id of [1, 2, 3]) change(target, id, Status.IN_PROGRESS);
    change(target, 1, Status.FAILED);
    const first = target.decide();
    assert.deepEqual(ids(first.giveUp), [4]);
    assert.deepEqual(ids(first.cancel), []);
    assert.equal(first.abort?.reason, "stage 1: A failed on 1 host");
    assert.ok(first.abort);
    target.marked(first);
    change(target, 4, Status.ABORTED);
    change(target, 2, Status.COMPLETED);
    assert.deepEqual(ids(target.decide().cancel), [3]);
  });

  it("does not fail a role whose factor still holds, and then goes on to the next stage", () => {
    const target = run({ factor: 0.5 });
    change(target, 1, Status.FAILED);
    assert.deepEqual(target.decide(), nothing);
    change(target, 2, Status.COMPLETED);
    change(target, 3, Status.COMPLETED);
    assert.deepEqual([...target.moveOn().hosts], [1n]);
  });

  it("does not go on after a failure that it only learns of when it takes over", () => {
    const target = run({
      statuses: { 1: Status.FAILED, 2: Status.COMPLETED, 3: Status.COMPLETED },
    });
    assert.deepEqual(ids(target.releasable(1n)), []);
    const { giveUp, abort } = target.decide();
    assert.deepEqual(ids(giveUp), [4]);
    assert.match(abort?.reason ?? "", /A failed on 1 host/);
  });

  it("counts UNKNOWN as failed for its stage", () => {
    const target = run();
    for (const id of [2, 3]) change(target, id, Status.COMPLETED);
    change(target, 1, Status.UNKNOWN);
    assert.deepEqual([...target.moveOn().hosts], []);
    assert.deepEqual(ids(target.decide().giveUp), [4]);
  });

  it("goes on after a failure when the request says CONTINUE", () => {
    const target = run({ onFailure: OnFailure.CONTINUE });
    change(target, 1, Status.FAILED);
    for (const id of [2, 3]) change(target, id, Status.COMPLETED);
    assert.deepEqual(target.decide(), nothing);
    assert.deepEqual([...target.moveOn().hosts], [1n]);
  });

  it("cancels: gives up what waits, asks what may run, once each", () => {
    const target = run();
    change(target, 1, Status.QUEUED);
    assert.equal(target.cancel("enough"), true);
    assert.equal(target.cancel("again"), false);
    const { giveUp, cancel, abort } = target.decide();
    assert.deepEqual([ids(giveUp), ids(cancel)], [[2, 3, 4], [1]]);
    assert.deepEqual(abort, { cancelled: true, reason: "enough" });
    target.marked({ abort });
    for (const id of [2, 3, 4]) change(target, id, Status.ABORTED);
    change(target, 1, Status.QUEUED, { cancelRequested: true });
    assert.deepEqual(target.decide(), nothing);
    assert.deepEqual(ids(target.releasable(2n)), []);
  });

  it("still marks a cancel that came while a failure was being marked", () => {
    const target = run();
    for (const id of [1, 2, 3]) change(target, id, Status.IN_PROGRESS);
    change(target, 1, Status.FAILED);
    const { abort: failure } = target.decide();
    assert.ok(failure);
    target.cancel("enough");
    target.marked({ abort: failure });
    const { abort: cancel } = target.decide();
    assert.deepEqual(cancel, { cancelled: true, reason: "enough" });
    assert.ok(cancel);
    target.marked({ abort: cancel });
    assert.equal(target.decide().abort, undefined);
  });

  it("stops when it reads that another scheduler has stopped it", () => {
    const target = run();
    target.adopt({
      ...{ run: 1, stopping: true, cancelRequested: true, reason: "enough" },
      ...{ paused: false, pauseReason: "" },
    });
    assert.deepEqual(ids(target.releasable(1n)), []);
    const { giveUp, abort } = target.decide();
    assert.deepEqual([ids(giveUp), abort, target.reason], [[1, 2, 3, 4], undefined, "enough"]);
  });

  it("keeps a host's tasks in the order of their ids when one is to run again", () => {
    const many: Place[] = [1, 2, 3].map((id) => [id, 0, 0, 1]);
    const target = run({ places: many });
    change(target, 2, Status.QUEUED);
    change(target, 2, Status.PENDING, { attempt: 2 });
    assert.deepEqual(ids(target.releasable(1n)), [1, 2, 3]);
    assert.deepEqual(ids(target.releasable(1n, 2)), [1, 2]);
  });

  it("lets a task that never started be released again, and gives it up when the request is stopping", () => {
    const target = run();
    change(target, 1, Status.QUEUED);
    assert.deepEqual(ids(target.releasable(1n)), []);
    change(target, 1, Status.PENDING);
    assert.deepEqual(ids(target.releasable(1n)), [1]);
    const stopping = run({ stopping: true });
    assert.deepEqual(ids(stopping.decide().giveUp), [1, 2, 3, 4]);
  });

  it("is over when nothing waits, runs or is held", () => {
    const target = run();
    for (const id of [1, 2, 3]) change(target, id, Status.COMPLETED);
    assert.equal(target.over, false);
    change(target, 4, Status.UNKNOWN);
    assert.equal(target.over, true);
  });
});
