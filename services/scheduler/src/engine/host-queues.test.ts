import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Status } from "@howdah/proto/howdah/v1/status";
import type { TaskStatus } from "@howdah/state/statuses";
import { change, ids, type Place, run } from "../testing/runs.js";
import { HostQueues } from "./host-queues.js";
import type { RequestRun } from "./request-run.js";

describe("HostQueues", () => {
  const session = { dispatcher: "d", epoch: 1n };

  function apply(queues: HostQueues, target: RequestRun, id: number, status: TaskStatus) {
    const applied = change(target, id, status);
    assert.ok(applied);
    queues.changed(target, applied.task, applied.before);
  }

  it("gives a host nothing while its agent is away", () => {
    const queues = new HostQueues();
    queues.addRun(run());
    assert.deepEqual(ids(queues.next(1n)), []);
    queues.opened(1n, session);
    assert.deepEqual(ids(queues.next(1n)), [1]);
    queues.closed(1n, 1n);
    assert.deepEqual(ids(queues.next(1n)), []);
  });

  it("keeps a newer request off a host until the older one has done all it will do there", () => {
    const queues = new HostQueues();
    const older = run();
    const newer = run({ requestId: 2n });
    queues.addRun(newer);
    queues.addRun(older);
    for (const hostId of [1n, 2n]) queues.opened(hostId, session);
    assert.deepEqual(
      queues.next(2n).map((each) => each.requestId),
      [1n],
    );
    apply(queues, older, 2, Status.COMPLETED);
    assert.deepEqual(
      queues.next(2n).map((each) => each.requestId),
      [2n],
    );
    // On host 1 the older request has a task of its second stage.
    apply(queues, older, 1, Status.COMPLETED);
    assert.deepEqual(queues.next(1n), []);
  });

  it("sends at most four commands that have not started ahead", () => {
    const queues = new HostQueues();
    const many: Place[] = Array.from({ length: 6 }, (_, at) => [at + 1, 0, 0, 1]);
    const target = run({ places: many });
    queues.addRun(target);
    queues.opened(1n, session);
    assert.deepEqual(ids(queues.next(1n)), [1, 2, 3, 4]);
    for (const id of [1, 2, 3, 4]) apply(queues, target, id, Status.QUEUED);
    assert.deepEqual(ids(queues.next(1n)), []);
    apply(queues, target, 1, Status.IN_PROGRESS);
    assert.deepEqual(ids(queues.next(1n)), [5]);
  });

  it("keeps the newest session of a host, in whatever order it is told", () => {
    const queues = new HostQueues();
    queues.opened(1n, { dispatcher: "b", epoch: 7n });
    queues.opened(1n, { dispatcher: "a", epoch: 6n });
    queues.closed(1n, 6n);
    assert.deepEqual(queues.session(1n), { dispatcher: "b", epoch: 7n });
    queues.dispatcherHas("a", new Set());
    assert.deepEqual(queues.session(1n), { dispatcher: "b", epoch: 7n });
    queues.dispatcherHas("b", new Set());
    assert.equal(queues.session(1n), undefined);
  });
});
