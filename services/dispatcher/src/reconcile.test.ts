import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import {
  JournalEntrySchema,
  JournalState,
  Verdict,
} from "@howdah/proto/howdah/v1/agent_registration";
import { ExecutionCommandSchema } from "@howdah/proto/howdah/v1/command";
import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskChangeSchema } from "@howdah/proto/howdah/v1/task_change";
import { reconcile } from "./reconcile.js";

const { RECEIVED, RUNNING, ENDED } = JournalState;
const { KEEP, CANCEL, FORGET, REPORT } = Verdict;

/** Journal: attempt and state; store: attempt, status, cancel asked for; what follows. */
const cases: [number, JournalState, [number, Status, boolean?] | undefined, Verdict][] = [
  [1, RECEIVED, [1, Status.QUEUED], KEEP],
  [1, RUNNING, [1, Status.QUEUED], KEEP],
  [1, RUNNING, [1, Status.IN_PROGRESS], KEEP],
  [1, RUNNING, [1, Status.UNKNOWN], KEEP],
  [1, RECEIVED, [1, Status.UNKNOWN], CANCEL],
  [1, RECEIVED, [1, Status.QUEUED, true], CANCEL],
  [1, RUNNING, [1, Status.IN_PROGRESS, true], CANCEL],
  [1, RUNNING, [1, Status.ABORTED], CANCEL],
  [1, RECEIVED, [1, Status.PENDING], FORGET],
  [1, RUNNING, [2, Status.QUEUED], CANCEL],
  [1, RECEIVED, undefined, FORGET],
  [1, RUNNING, undefined, CANCEL],
  [1, ENDED, [1, Status.QUEUED], REPORT],
  [1, ENDED, [1, Status.UNKNOWN], REPORT],
  [1, ENDED, [1, Status.IN_PROGRESS, true], REPORT],
  [1, ENDED, [1, Status.COMPLETED], REPORT],
  [1, ENDED, [2, Status.IN_PROGRESS], REPORT],
  [2, ENDED, [1, Status.IN_PROGRESS], FORGET],
  [1, ENDED, undefined, FORGET],
  [1, JournalState.UNSPECIFIED, [1, Status.QUEUED], CANCEL],
];

for (const [attempt, state, task, verdict] of cases) {
  const [taskAttempt, status, cancelRequested = false] = task ?? [];
  const store = task === undefined ? "nothing" : `${Status[status ?? 0]} ${taskAttempt}`;
  const asked = cancelRequested ? ", cancelled" : "";
  test(`${JournalState[state]} ${attempt} against ${store}${asked}: ${Verdict[verdict]}`, () => {
    const tasks =
      task === undefined
        ? []
        : [
            create(TaskChangeSchema, {
              taskId: 7n,
              attempt: task[0],
              status: task[1],
              cancelRequested,
            }),
          ];
    const entry = create(JournalEntrySchema, { taskId: 7n, attempt, state });
    const { verdicts } = reconcile([entry], tasks, []);
    assert.equal(verdicts[0]?.verdict, verdict);
    assert.equal(verdicts[0]?.reason === "", verdict !== CANCEL, "a cancel says why");
  });
}

test("commands keep the store's order, and none is sent that the journal lists", () => {
  const commands = [5n, 2n, 9n].map((taskId) =>
    create(ExecutionCommandSchema, { taskId, attempt: 1 }),
  );
  const entries = [
    create(JournalEntrySchema, { taskId: 2n, attempt: 1, state: RECEIVED }),
    create(JournalEntrySchema, { taskId: 9n, attempt: 2, state: RECEIVED }),
  ];
  assert.deepEqual(
    reconcile(entries, [], commands).commands.map(({ taskId }) => taskId),
    [5n, 9n],
  );
});
