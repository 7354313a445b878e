import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OnFailure } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { finalStatuses, statuses, type TaskStatus } from "./statuses.js";
import { agentEvents, type Policy, type TaskState, transition } from "./transitions.js";

const events = Object.values(TaskEvent).filter(
  (event): event is TaskEvent => typeof event === "number" && event !== TaskEvent.UNSPECIFIED,
);
const abort: Policy = {
  onFailure: OnFailure.ABORT,
  maxAttempts: 1,
  retryOn: new Set(),
  manual: false,
};
const retrying: Policy = { ...abort, maxAttempts: 3, retryOn: new Set([TaskEvent.FAILED]) };

function task(status: TaskStatus, changes: Partial<TaskState> = {}): TaskState {
  return { status, attempt: 1, cancelRequested: false, requestOver: false, ...changes };
}

function to(status: TaskStatus, attempt = 1) {
  return { kind: "move" as const, status, attempt };
}

// Design 4, line by line: from, event, what the task and its request are like, what follows.
const cases: [TaskState, TaskEvent, Policy, ReturnType<typeof transition>][] = [
  [task(Status.PENDING), TaskEvent.RELEASED, abort, to(Status.QUEUED)],
  [task(Status.PENDING), TaskEvent.RELEASED, { ...abort, manual: true }, to(Status.HOLDING)],
  [task(Status.PENDING), TaskEvent.GIVEN_UP, abort, to(Status.ABORTED)],
  [task(Status.HOLDING), TaskEvent.RESOLVED_SKIP, abort, to(Status.COMPLETED)],
  [task(Status.HOLDING), TaskEvent.RESOLVED_ABORT, abort, to(Status.ABORTED)],
  [task(Status.QUEUED), TaskEvent.STARTED, abort, to(Status.IN_PROGRESS)],
  ...([Status.QUEUED, Status.IN_PROGRESS, Status.UNKNOWN] as const).flatMap(
    (from): [TaskState, TaskEvent, Policy, ReturnType<typeof transition>][] => [
      [task(from), TaskEvent.SUCCEEDED, abort, to(Status.COMPLETED)],
      [task(from), TaskEvent.FAILED, abort, to(Status.FAILED)],
      [task(from), TaskEvent.TIMED_OUT, abort, to(Status.TIMEDOUT)],
      [task(from), TaskEvent.INTERRUPTED, abort, to(Status.FAILED)],
      [task(from), TaskEvent.FAILED, retrying, to(Status.PENDING, 2)],
      [task(from, { attempt: 3 }), TaskEvent.FAILED, retrying, to(Status.FAILED, 3)],
      [task(from), TaskEvent.TIMED_OUT, retrying, to(Status.TIMEDOUT)],
      [task(from, { cancelRequested: true }), TaskEvent.FAILED, retrying, to(Status.FAILED)],
      [task(from, { requestOver: true }), TaskEvent.FAILED, retrying, to(Status.FAILED)],
      [
        task(from),
        TaskEvent.FAILED,
        { ...abort, onFailure: OnFailure.HOLD },
        to(Status.HOLDING_FAILED),
      ],
      [
        task(from),
        TaskEvent.TIMED_OUT,
        { ...abort, onFailure: OnFailure.HOLD },
        to(Status.HOLDING_TIMEDOUT),
      ],
      [
        task(from, { requestOver: true }),
        TaskEvent.TIMED_OUT,
        { ...abort, onFailure: OnFailure.HOLD },
        to(Status.TIMEDOUT),
      ],
      [
        task(from, { cancelRequested: true }),
        TaskEvent.FAILED,
        { ...abort, onFailure: OnFailure.HOLD },
        to(Status.FAILED),
      ],
      [
        task(from),
        TaskEvent.FAILED,
        { ...abort, onFailure: OnFailure.SKIP },
        to(Status.SKIPPED_FAILED),
      ],
      [
        task(from),
        TaskEvent.FAILED,
        { ...abort, onFailure: OnFailure.CONTINUE },
        to(Status.FAILED),
      ],
      [task(from), TaskEvent.CANCELLED, abort, to(Status.ABORTED)],
      [task(from), TaskEvent.CANCEL_REQUESTED, abort, { kind: "cancel-requested" }],
      [task(from, { cancelRequested: true }), TaskEvent.CANCEL_REQUESTED, abort, { kind: "known" }],
    ],
  ),
  [task(Status.QUEUED), TaskEvent.NEVER_STARTED, abort, to(Status.PENDING)],
  [
    task(Status.QUEUED, { cancelRequested: true }),
    TaskEvent.NEVER_STARTED,
    abort,
    to(Status.ABORTED),
  ],
  [task(Status.UNKNOWN), TaskEvent.NEVER_STARTED, abort, to(Status.PENDING)],
  [task(Status.UNKNOWN, { requestOver: true }), TaskEvent.NEVER_STARTED, abort, to(Status.ABORTED)],
  [task(Status.QUEUED), TaskEvent.DEADLINE_PASSED, abort, to(Status.UNKNOWN)],
  [task(Status.IN_PROGRESS), TaskEvent.DEADLINE_PASSED, abort, to(Status.UNKNOWN)],
  [task(Status.QUEUED), TaskEvent.JOURNAL_LOST, abort, to(Status.UNKNOWN)],
  [task(Status.IN_PROGRESS), TaskEvent.JOURNAL_LOST, abort, to(Status.UNKNOWN)],
  [task(Status.IN_PROGRESS), TaskEvent.NEVER_STARTED, abort, { kind: "refused" }],
  [task(Status.HOLDING_FAILED), TaskEvent.RESOLVED_RETRY, abort, to(Status.PENDING, 2)],
  [task(Status.HOLDING_FAILED), TaskEvent.RESOLVED_SKIP, abort, to(Status.FAILED)],
  [task(Status.HOLDING_FAILED), TaskEvent.RESOLVED_ABORT, abort, to(Status.ABORTED)],
  [task(Status.HOLDING_TIMEDOUT), TaskEvent.RESOLVED_RETRY, abort, to(Status.PENDING, 2)],
  [task(Status.HOLDING_TIMEDOUT), TaskEvent.RESOLVED_SKIP, abort, to(Status.TIMEDOUT)],
  [task(Status.HOLDING_TIMEDOUT), TaskEvent.RESOLVED_ABORT, abort, to(Status.ABORTED)],
  ...(
    [Status.FAILED, Status.TIMEDOUT, Status.ABORTED, Status.SKIPPED_FAILED, Status.UNKNOWN] as const
  ).map((from): [TaskState, TaskEvent, Policy, ReturnType<typeof transition>] => [
    task(from),
    TaskEvent.RETRIED,
    abort,
    to(Status.PENDING, 2),
  ]),
];

describe("transition()", () => {
  for (const [from, event, policy, expected] of cases) {
    const name = `${Status[from.status]} ${TaskEvent[event]} ${JSON.stringify({ ...from, ...policy })}`;
    it(name, () => {
      assert.deepEqual(transition(from, event, policy), expected);
    });
  }

  it("never moves a final status, except by an explicit retry", () => {
    for (const status of statuses.filter((status) => finalStatuses.has(status))) {
      for (const event of events.filter((event) => event !== TaskEvent.RETRIED)) {
        for (const flags of [{}, { cancelRequested: true }, { requestOver: true }]) {
          assert.notEqual(transition(task(status, flags), event, retrying).kind, "move");
        }
      }
    }
  });

  it("never lets an agent's word raise the attempt beyond what the policy allows", () => {
    for (const status of statuses) {
      for (const event of agentEvents) {
        const outcome = transition(task(status, { attempt: 3 }), event, retrying);
        if (outcome.kind === "move") assert.equal(outcome.attempt, 3);
      }
    }
  });
});
