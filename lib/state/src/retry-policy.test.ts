import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  Guarantee,
  OnFailure,
  RequestOptionsSchema,
  RetryCause,
} from "@howdah/proto/howdah/v1/operation";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { policyOf, retryPolicyOf } from "./retry-policy.js";
import { transition } from "./transitions.js";

const start = { role: "NAMENODE", roleCommand: RoleCommand.START };

function policy(options: MessageInitShape<typeof RequestOptionsSchema>, verb = start) {
  return policyOf(create(RequestOptionsSchema, options), verb);
}

describe("retryPolicyOf()", () => {
  it("takes the most exact name", () => {
    const options = create(RequestOptionsSchema, {
      retry: { maxAttempts: 2 },
      roleRetries: { NAMENODE: { maxAttempts: 3 }, "NAMENODE-START": { maxAttempts: 4 } },
    });
    const attempts = (role: string, roleCommand: RoleCommand) =>
      retryPolicyOf(options, { role, roleCommand })?.maxAttempts;
    assert.equal(attempts("NAMENODE", RoleCommand.START), 4);
    assert.equal(attempts("NAMENODE", RoleCommand.STOP), 3);
    assert.equal(attempts("DATANODE", RoleCommand.START), 2);
    assert.equal(attempts("constructor", RoleCommand.START), 2);
  });
});

describe("policyOf()", () => {
  const { FAILED, TIMED_OUT, INTERRUPTED } = TaskEvent;
  const table: [string, ReturnType<typeof policy>, number, TaskEvent[]][] = [
    ["nothing stated", policy({}), 1, [FAILED, TIMED_OUT]],
    ["0 attempts are 1", policy({ retry: {} }), 1, [FAILED, TIMED_OUT]],
    ["no cause named", policy({ retry: { maxAttempts: 3 } }), 3, [FAILED, TIMED_OUT]],
    [
      "INTERRUPTED named",
      policy({ retry: { maxAttempts: 3, causes: [RetryCause.INTERRUPTED] } }),
      3,
      [INTERRUPTED],
    ],
    [
      "INTERRUPTED named, AT_MOST_ONCE",
      policy({
        guarantee: Guarantee.AT_MOST_ONCE,
        retry: { maxAttempts: 3, causes: [RetryCause.FAILED, RetryCause.INTERRUPTED] },
      }),
      3,
      [FAILED],
    ],
    [
      "AT_LEAST_ONCE",
      policy({ guarantee: Guarantee.AT_LEAST_ONCE }),
      1,
      [FAILED, TIMED_OUT, INTERRUPTED],
    ],
  ];
  for (const [name, { maxAttempts, retryOn }, attempts, events] of table) {
    it(name, () => {
      assert.equal(maxAttempts, attempts);
      assert.deepEqual([...retryOn].sort(), events.sort());
    });
  }

  it("keeps trying what is cut off under AT_LEAST_ONCE, but not for ever, and spends no attempt of others on it", () => {
    const least = policy({ guarantee: Guarantee.AT_LEAST_ONCE, retry: { maxAttempts: 2 } });
    const after = (attempt: number, event: TaskEvent) => {
      const state = { attempt, cancelRequested: false, requestOver: false };
      const outcome = transition({ ...state, status: Status.IN_PROGRESS }, event, least);
      return outcome.kind === "move" ? Status[outcome.status] : outcome.kind;
    };
    assert.equal(after(2, INTERRUPTED), "PENDING");
    assert.equal(after(9, INTERRUPTED), "PENDING");
    assert.equal(after(10, INTERRUPTED), "FAILED");
    assert.equal(after(1, FAILED), "PENDING");
    assert.equal(after(2, FAILED), "FAILED");
  });

  it("aborts on failure when nothing is stated, goes on when a budget is", () => {
    assert.equal(policy({}).onFailure, OnFailure.ABORT);
    assert.equal(policy({ rolling: { canary: 1 } }).onFailure, OnFailure.ABORT);
    assert.equal(policy({ rolling: { maxFailures: 0 } }).onFailure, OnFailure.CONTINUE);
    assert.equal(
      policy({ rolling: { maxFailures: 2 }, onFailure: OnFailure.ABORT }).onFailure,
      OnFailure.ABORT,
    );
  });
});
