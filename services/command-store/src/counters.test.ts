import assert from "node:assert/strict";
import { it } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  TaskEvent,
  type TaskReportSchema,
  type TaskTransitionSchema,
} from "@howdah/proto/howdah/v1/command_store_service";
import { Guarantee, OnFailure } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import { statuses } from "@howdah/state/statuses";
import type { Knex } from "knex";
import { query } from "./query.js";
import { counterColumns } from "./store/counter-columns.js";
import { openFixture } from "./testing/fixture.js";
import { startStore } from "./testing/store.js";

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
  TaskEvent.RETRIED,
  TaskEvent.RETRIED,
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

it("should keep counters, progress and ends right through 500 random events", async () => {
  const fixture = await openFixture();
  const random = randomNumbers(20_240_607);
  const pick = <T>(values: readonly T[]): T => {
    const value = values[Math.floor(random() * values.length)];
    assert.ok(value !== undefined);
    return value;
  };
  try {
    const { hostId, sessionEpoch, store, database } = fixture;
    const hosts = [hostId];
    const stages = [
      [
        { role: "A", hosts },
        { role: "B", hosts, factor: 0.5 },
      ],
      [{ role: "C", hosts }],
    ];
    const policies = [OnFailure.ABORT, OnFailure.HOLD, OnFailure.SKIP, OnFailure.CONTINUE];
    const subjects = await Promise.all(
      policies.map((onFailure) =>
        fixture.subject(stages, { onFailure, guarantee: Guarantee.AT_LEAST_ONCE }),
      ),
    );
    const highest = new Map<bigint, { run: number; progress: number }>();
    let events = 0;
    while (events < 500) {
      const subject = pick(subjects);
      const tasks = new Map((await subject.tasks()).map((task) => [task.taskId, task]));
      const some = Array.from({ length: 1 + Math.floor(random() * 6) }, () =>
        pick(subject.taskIds),
      );
      events += some.length;
      const keyOf = (taskId: bigint) => ({
        taskId,
        attempt: tasks.get(taskId)?.attempt ?? 1,
        hostId,
      });
      if (random() < 0.5) {
        const reports: MessageInitShape<typeof TaskReportSchema>[] = some.map((taskId) => ({
          ...keyOf(taskId),
          sessionEpoch,
          event: pick(agents),
        }));
        await store.client.recordReports({ reports });
      } else {
        const transitions: MessageInitShape<typeof TaskTransitionSchema>[] = some.map((taskId) => ({
          ...keyOf(taskId),
          sessionEpoch,
          event: pick(schedulers),
        }));
        await store.client.recordTransitions({
          schedulerToken: 1n,
          requests: [{ requestId: subject.requestId, transitions }],
        });
      }
      const request = await subject.request();
      const { counts } = request;
      assert.ok(counts);
      const waiting =
        counts.pending +
        counts.queued +
        counts.inProgress +
        counts.holding +
        counts.holdingFailed +
        counts.holdingTimedout;
      assert.equal(request.progressPercent === 100, waiting === 0, "100 exactly when it is over");
      assert.equal(request.times?.endedAt !== undefined, waiting === 0);
      const before = highest.get(subject.requestId);
      if (before?.run === request.run) {
        assert.ok(request.progressPercent >= before.progress, "progress fell within a run");
      }
      highest.set(subject.requestId, { run: request.run, progress: request.progressPercent });
    }

    await assertCountersEqualRows(database.db);
    const open = await query<{ status: number; open: number | null }>(
      database.db,
      "select distinct status + 0 as status, open from host_role_command",
    );
    for (const row of open) {
      const may = [Status.QUEUED, Status.IN_PROGRESS, Status.UNKNOWN].includes(row.status);
      assert.equal(row.open, may ? 1 : null);
    }
    assert.ok(
      [...highest.values()].some(({ run }) => run > 1),
      "no request was retried",
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
