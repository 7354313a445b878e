import assert from "node:assert/strict";
import { it } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  Guarantee,
  OnExceeded,
  OnFailure,
  type RequestOptionsSchema,
  RetryCause,
} from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import type { TaskReportSchema } from "@howdah/proto/howdah/v1/store_reports";
import type { TaskTransitionSchema } from "@howdah/proto/howdah/v1/store_transitions";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { isDone, statuses } from "@howdah/state/statuses";
import type { Knex } from "knex";
import { query } from "../database/query.js";
import { counterColumns } from "../store/counter-columns.js";
import { openFixture } from "../testing/fixture.js";
import { startStore } from "../testing/store.js";

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const agents = [
  TaskEvent.STARTED,
  TaskEvent.SUCCEEDED,
  TaskEvent.FAILED,
  TaskEvent.TIMED_OUT,
  TaskEvent.INTERRUPTED,
  TaskEvent.NEVER_STARTED,
  TaskEvent.CANCELLED,
];
const schedulers = [
  TaskEvent.RELEASED,
  TaskEvent.RELEASED,
  TaskEvent.RELEASED,
  TaskEvent.GIVEN_UP,
  TaskEvent.DEADLINE_PASSED,
  TaskEvent.CANCEL_REQUESTED,
  TaskEvent.RESOLVED_RETRY,
  TaskEvent.RESOLVED_SKIP,
  TaskEvent.RESOLVED_ABORT,
];

/** Invariant 8, for every role in the store. */
async function assertCountersEqualRows(db: Knex): Promise<void> {
  const rows = await query<Record<string, number>>(
    db,
    `select request_id, stage_id, role_index, status + 0 as status, count(*) as n, max(change_version) as version
    from host_role_command group by request_id, stage_id, role_index, status`,
  );
  const counters = await query<Record<string, number>>(db, "select * from role_success_criteria");
  for (const role of counters) {
    for (const status of statuses) {
      const row = rows.find(
        (r) =>
          r.request_id === role.request_id &&
          r.stage_id === role.stage_id &&
          r.role_index === role.role_index &&
          r.status === status,
      );
      const name = counterColumns[status];
      assert.equal(
        role[name],
        row?.n ?? 0,
        `${role.request_id}/${role.stage_id}/${role.role} ${name}`,
      );
    }
  }
}

/** Invariant 10, as far as the store can tell: each former attempt is kept once, with the status it ended in. */
async function assertOneAttemptAlive(db: Knex): Promise<void> {
  const tasks = await query<{ taskId: number; attempt: number }>(
    db,
    "select task_id as taskId, attempt from host_role_command",
  );
  const former = await query<{ taskId: number; attempt: number; status: Status }>(
    db,
    "select task_id as taskId, attempt, status + 0 as status from task_attempt order by task_id, attempt",
  );
  for (const { taskId, attempt } of tasks) {
    const own = former.filter((row) => row.taskId === taskId);
    assert.deepEqual(
      own.map((row) => row.attempt),
      Array.from({ length: attempt - 1 }, (_, i) => i + 1),
      `attempts of task ${taskId}`,
    );
    for (const { status } of own) {
      assert.ok(isDone(status) && status !== Status.COMPLETED, `${Status[status]} is no end`);
    }
  }
}

const options: MessageInitShape<typeof RequestOptionsSchema>[] = [
  { onFailure: OnFailure.ABORT, guarantee: Guarantee.AT_LEAST_ONCE },
  { onFailure: OnFailure.HOLD, roleRetries: { A: { maxAttempts: 2 } } },
  { onFailure: OnFailure.SKIP, retry: { maxAttempts: 4, causes: [RetryCause.INTERRUPTED] } },
  { onFailure: OnFailure.CONTINUE, retry: { maxAttempts: 3 } },
  { rolling: { maxFailures: 2, maxBatchFailures: 1 } },
  { rolling: { maxFailurePercent: 10, onExceeded: OnExceeded.ABORT } },
];

/** What a request was like after the event before. */
interface Seen {
  readonly run: number;
  readonly progress: number;
  readonly over: boolean;
  readonly paused: boolean;
  readonly aborted: boolean;
  readonly spent: number;
}

it("should keep counters, attempts, progress, runs and budgets right through 600 random events", async () => {
  const fixture = await openFixture();
  const random = randomNumbers(20_240_607);
  const pick = <T>(values: readonly T[]): T => {
    const value = values[Math.floor(random() * values.length)];
    assert.ok(value !== undefined);
    return value;
  };
  const met = new Set<string>();
  try {
    const { hostId, sessionEpoch, store, database } = fixture;
    const stages = [
      [
        { role: "A", hosts: [hostId, hostId], batches: [0, 1] },
        { role: "B", hosts: [hostId], factor: 0.5 },
      ],
      [{ role: "C", hosts: [hostId, hostId], batches: [0, 1] }],
    ];
    const subjects = await Promise.all(options.map((each) => fixture.subject(stages, each)));
    const last = new Map<bigint, Seen>();
    let events = 0;
    while (events < 600) {
      const subject = pick(subjects);
      const { requestId } = subject;
      const tasks = new Map((await subject.tasks()).map((task) => [task.taskId, task]));
      const some = Array.from({ length: 1 + Math.floor(random() * 6) }, () =>
        pick(subject.taskIds),
      );
      events += some.length;
      const keyOf = (taskId: bigint) => ({
        taskId,
        // At times an attempt that is over, or not there yet.
        attempt: Math.max(1, (tasks.get(taskId)?.attempt ?? 1) + pick([0, 0, 0, 0, 0, 0, -1, 1])),
        hostId,
      });
      const before = last.get(requestId);
      let resumed = false;
      let newRun = false;
      if (random() < 0.5) {
        const reports: MessageInitShape<typeof TaskReportSchema>[] = some.map((taskId) => ({
          ...keyOf(taskId),
          sessionEpoch,
          event: pick(agents),
        }));
        await store.client.recordReports({ reports });
      } else {
        newRun = random() < 0.2;
        const transitions: MessageInitShape<typeof TaskTransitionSchema>[] = some.map((taskId) => ({
          ...keyOf(taskId),
          sessionEpoch,
          event: newRun ? TaskEvent.RETRIED : pick(schedulers),
        }));
        const pause =
          !newRun && random() < 0.3 ? { paused: random() < 0.4, reason: "rain" } : undefined;
        const abort = !newRun && random() < 0.02 ? { cancelled: true, reason: "snow" } : undefined;
        resumed = pause?.paused === false;
        const { results } = await store.client.recordTransitions({
          schedulerToken: 1n,
          requests: [
            { requestId, transitions, newRun, ...(pause && { pause }), ...(abort && { abort }) },
          ],
        });
        const [result] = results;
        const released = result?.changes.filter(
          ({ taskId, status }) =>
            status === Status.QUEUED && tasks.get(taskId)?.status === Status.PENDING,
        );
        const stopped = before?.aborted || (before?.paused && !resumed);
        if (stopped || pause?.paused || abort) assert.deepEqual(released, [], "invariant 7");
        if (newRun && before?.over === false) {
          for (const { taskId, attempt } of result?.changes ?? []) {
            assert.equal(attempt, tasks.get(taskId)?.attempt, "a running request was retried");
          }
        }
      }
      const request = await subject.request();
      const { counts, run, progressPercent: progress } = request;
      assert.ok(counts);
      const waiting =
        counts.pending +
        counts.queued +
        counts.inProgress +
        counts.holding +
        counts.holdingFailed +
        counts.holdingTimedout;
      const over = waiting === 0;
      assert.equal(progress === 100, over, "100 exactly when it is over");
      assert.equal(request.times?.endedAt !== undefined, over);
      const [row] = await query<{ spent: number; paused: number; aborted: number; open: number }>(
        database.db,
        `select budget_failures as spent, paused, aborted, coalesce(open, 0) as open from request where request_id = ?`,
        [Number(requestId)],
      );
      assert.ok(row);
      assert.equal(row.open === 1, !over);
      assert.ok(!over || row.paused === 0, "over, and paused");
      if (before !== undefined && run === before.run) {
        assert.ok(progress >= before.progress, "progress fell within a run");
        assert.ok(!before.over || over, "it goes on without a new run");
        assert.ok(resumed || row.spent >= before.spent, "a budget was given back");
      }
      if (before !== undefined && run !== before.run) {
        assert.ok(newRun && before.over && run === before.run + 1, "a run that nobody asked for");
        assert.deepEqual([row.spent, row.paused, row.aborted], [0, 0, 0]);
        met.add("new run");
      }
      const { rolling } = request.options ?? {};
      if (rolling?.maxFailures !== undefined && row.spent > rolling.maxFailures && !over) {
        assert.equal(row.paused, 1, "a budget was exceeded");
        met.add("paused by its budget");
      }
      if (rolling?.maxFailurePercent !== undefined && row.spent * 100 > 10 * counts.total) {
        assert.ok(over || row.aborted === 1, "a budget was exceeded");
        met.add("aborted by its budget");
      }
      last.set(requestId, {
        run,
        progress,
        over,
        paused: row.paused === 1,
        aborted: row.aborted === 1,
        spent: row.spent,
      });
      if (before?.paused && row.paused === 0 && !over) met.add("resumed");
    }

    await assertCountersEqualRows(database.db);
    await assertOneAttemptAlive(database.db);
    const open = await query<{ status: number; open: number | null }>(
      database.db,
      "select distinct status + 0 as status, open_host_id = host_id as open from host_role_command",
    );
    for (const row of open) {
      const may = [Status.QUEUED, Status.IN_PROGRESS, Status.UNKNOWN].includes(row.status);
      assert.equal(row.open, may ? 1 : null);
    }
    const { requests } = await store.client.listUnfinished({});
    assert.deepEqual(
      requests.map(({ requestId }) => requestId),
      [...last].flatMap(([id, { over }]) => (over ? [] : [id])).sort((a, b) => Number(a - b)),
    );
    assert.deepEqual(
      [...met].sort(),
      ["aborted by its budget", "new run", "paused by its budget", "resumed"],
      "what the test has not met it has not tested",
    );
  } finally {
    await fixture.close();
  }
});

it("should keep counters right when two replicas record reports, releases and cancels of the same tasks at once", async () => {
  const fixture = await openFixture();
  const other = await startStore(fixture.database.url);
  try {
    const { hostId, sessionEpoch, store } = fixture;
    const stages = [[{ role: "A", hosts: Array.from({ length: 40 }, () => hostId) }]];
    const one = await fixture.subject(stages);
    const two = await fixture.subject(stages);
    const requestIds = [two.requestId, one.requestId];
    const taskIds = [...one.taskIds, ...two.taskIds];
    const reports = (event: TaskEvent) => ({
      reports: taskIds.map((taskId) => ({ taskId, attempt: 1, hostId, sessionEpoch, event })),
    });
    const decisions = (event: TaskEvent) => ({
      schedulerToken: 1n,
      requests: requestIds.map((requestId) => ({
        requestId,
        transitions: taskIds.map((taskId) => ({ taskId, attempt: 1, event, sessionEpoch })),
      })),
    });
    await Promise.all([
      store.client.recordTransitions(decisions(TaskEvent.RELEASED)),
      other.client.recordTransitions(decisions(TaskEvent.RELEASED)),
    ]);
    const answers = await Promise.all([
      store.client.recordReports(reports(TaskEvent.STARTED)),
      other.client.recordReports(reports(TaskEvent.SUCCEEDED)),
      store.client.recordTransitions(decisions(TaskEvent.CANCEL_REQUESTED)),
      other.client.recordReports(reports(TaskEvent.FAILED)),
      store.client.recordReports(reports(TaskEvent.SUCCEEDED)),
      other.client.recordTransitions(decisions(TaskEvent.DEADLINE_PASSED)),
    ]);
    assert.equal(answers.length, 6);
    await assertCountersEqualRows(fixture.database.db);
    for (const subject of [one, two]) {
      const { counts, progressPercent } = await subject.request();
      assert.equal((counts?.completed ?? 0) + (counts?.failed ?? 0), 40);
      assert.equal(progressPercent, 100);
    }
  } finally {
    await other.stop();
    await fixture.close();
  }
});
