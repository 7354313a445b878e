import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Concurrency } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import type { TaskStatus } from "@howdah/state/statuses";
import { change, ids, type Place, role, run } from "../testing/runs.js";
import { Agenda } from "./agenda.js";
import { waitsOf } from "./explain-wait.js";
import { HostQueues } from "./host-queues.js";
import type { RequestRun } from "./request-run.js";

const { COMPLETED, IN_PROGRESS, QUEUED } = Status;

// A chain A, B, C, D, each on another host save D, which is on host 1 with four that nothing waits for.
const chain = [
  role("A"),
  role("B", { blockers: [0] }),
  role("C", { blockers: [1] }),
  role("D", { blockers: [2] }),
  role("E", { blockers: [3] }),
  role("SIDE"),
];
const places: Place[] = [
  [1, 0, 0, 2],
  [2, 0, 1, 3],
  [3, 0, 2, 4],
  [4, 0, 3, 1],
  [5, 0, 4, 5],
  [6, 0, 5, 1],
  [7, 0, 5, 1],
  [8, 0, 5, 1],
  [9, 0, 5, 1],
];
const request = (more = {}) => run({ dependencyOrdered: true, stages: [chain], places, ...more });

/** Queues with this request, in which host 1 is there, and what it is sent next when a task has changed. */
function begin(target: RequestRun) {
  const queues = new HostQueues();
  queues.addRun(target);
  queues.opened(1n, { dispatcher: "d", epoch: 1n });
  const next = () => ids(queues.next(1n));
  return {
    next,
    after(taskId: number, ...statuses: TaskStatus[]) {
      for (const status of statuses) {
        const applied = change(target, taskId, status);
        assert.ok(applied);
        queues.changed(target, applied.task, applied.before);
      }
      target.moveOn();
      return next();
    },
  };
}

describe("LaterTasks", () => {
  it("has a host be sent no more ahead than roles come before something more urgent of its own", () => {
    const { next, after } = begin(request());
    // A, B and C come before D, one after the other.
    assert.deepEqual(next(), [6, 7, 8]);
    assert.deepEqual(after(6, QUEUED, IN_PROGRESS), [7, 8]);
    assert.deepEqual(after(1, COMPLETED), [7]);
    assert.deepEqual(after(7, QUEUED), []);
    assert.deepEqual(after(6, COMPLETED), [8]);
  });

  it("keeps a host free when the next role to end may let something more urgent begin", () => {
    const { after } = begin(request());
    after(1, COMPLETED);
    assert.deepEqual(after(2, COMPLETED), [6]);
    assert.deepEqual(after(6, QUEUED, IN_PROGRESS), []);
    assert.deepEqual(after(3, COMPLETED), [4, 7, 8, 9]);
    assert.deepEqual(after(4, QUEUED), [7, 8, 9]);
  });

  it("sends as much ahead as ever what nothing more urgent follows on its host, and what runs beside others", () => {
    const more = places.filter(([taskId]) => taskId !== 4);
    assert.deepEqual(begin(request({ places: more })).next(), [6, 7, 8, 9]);
    const beside = request({ concurrency: Concurrency.PARALLEL });
    const queues = begin(beside);
    assert.deepEqual(queues.after(1, COMPLETED), [6, 7, 8, 9]);
  });

  it("counts anew when a role turns out not to have run", () => {
    const { after } = begin(request());
    after(1, COMPLETED);
    assert.deepEqual(after(2, COMPLETED), [6]);
    assert.deepEqual(after(2, Status.PENDING), [6, 7]);
  });

  it("goes by what is done when a request is taken over", () => {
    const statuses = { 1: COMPLETED, 2: COMPLETED, 6: IN_PROGRESS } as const;
    assert.deepEqual(begin(request({ statuses })).next(), []);
  });

  it("says why a task waits that could be sent ahead", () => {
    const target = request({ statuses: { 1: COMPLETED, 2: COMPLETED, 6: IN_PROGRESS } });
    const agenda = new Agenda({
      ...{ maxInFlight: 0, over: () => undefined, settled: () => undefined },
      ...{ rest: () => undefined, wake: () => undefined },
    });
    agenda.add(target);
    agenda.queues.opened(1n, { dispatcher: "d", epoch: 1n });
    const task = target.task(7n);
    assert.ok(task);
    const [{ kind, text } = { kind: "", text: "" }] = waitsOf(agenda, target, task);
    assert.equal(kind, "HOST_QUEUE");
    assert.match(text, /^its host has 1 other command to end, and is kept free for one /);
  });

  it("looks at a host's own tasks only, however many hosts a request has", () => {
    const looksAt = (hosts: number): number => {
      const all: Place[] = [];
      for (let host = 1; host <= hosts; host += 1) {
        for (const at of [0, 1, 2, 3, 4, 5]) all.push([all.length + 1, 0, at, host]);
      }
      let looks = 0;
      const target = request({ places: all });
      const { after } = begin(target);
      for (let taskId = 1; taskId <= all.length; taskId += 1) {
        const task = target.task(BigInt(taskId));
        assert.ok(task);
        const { roleIndex } = task;
        Object.defineProperty(task, "roleIndex", {
          get: () => {
            looks += 1;
            return roleIndex;
          },
        });
      }
      after(1, QUEUED, COMPLETED);
      return looks;
    };
    assert.equal(looksAt(200), looksAt(2));
  });
});
