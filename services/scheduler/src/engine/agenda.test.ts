import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Status } from "@howdah/proto/howdah/v1/status";
import type { TaskStatus } from "@howdah/state/statuses";
import { type Place, role, run } from "../testing/runs.js";
import { Agenda } from "./agenda.js";
import type { Batch } from "./batch.js";

describe("Agenda", () => {
  /** Six tasks on host 1, of which the first so many were sent, and as many on host 2; both hosts are to be looked at. */
  function withSent(unstarted: readonly [number, number]): Agenda {
    const placesOn = (hostId: number): Place[] =>
      Array.from({ length: 6 }, (_, at) => [hostId * 10 + at, 0, 0, hostId]);
    const statuses: Partial<Record<number, TaskStatus>> = {};
    for (const [at, sent] of unstarted.entries()) {
      for (let index = 0; index < sent; index++) statuses[(at + 1) * 10 + index] = Status.QUEUED;
    }
    const agenda = new Agenda({
      maxInFlight: 0,
      ...{ over() {}, settled() {}, rest() {}, wake() {} },
    });
    agenda.add(run({ places: [...placesOn(1), ...placesOn(2)], stages: [[role("A")]], statuses }));
    for (const hostId of [1n, 2n]) {
      agenda.queues.opened(hostId, { dispatcher: "d", epoch: 1n });
      agenda.lookAtHost(hostId);
    }
    return agenda;
  }

  function taken(batch: Batch): number[] {
    return batch.entries.flatMap(({ tasks }) => tasks.map(({ taskId }) => Number(taskId)));
  }

  it("sends a host several commands at once when others need some first", () => {
    const agenda = withSent([2, 1]);
    assert.deepEqual(taken(agenda.collect()), [21, 22, 23]);
    assert.equal(agenda.empty, false, "the other host is looked at next");
    assert.deepEqual(taken(agenda.collect()), [12, 13]);
    assert.equal(agenda.empty, true);
  });

  it("sends a host more at once when nobody else needs any", () => {
    assert.deepEqual(taken(withSent([3, 4]).collect()), [13]);
  });

  it("looks at a host among the first as soon as it has little left", () => {
    const agenda = withSent([2, 1]);
    agenda.collect();
    const [target] = agenda.runs.values();
    const started = target?.apply({
      ...{ requestId: 1n, taskId: 10n, attempt: 1, version: 2n, sessionEpoch: 1n },
      ...{ status: Status.IN_PROGRESS, cancelRequested: false },
    });
    assert.ok(target && started);
    agenda.queues.changed(target, started.task, started.before);
    agenda.lookAtHost(1n);
    assert.deepEqual(taken(agenda.collect()), [12, 13, 14]);
    assert.equal(agenda.empty, true, "it is not looked at twice");
  });
});
