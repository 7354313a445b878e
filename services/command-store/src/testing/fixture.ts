import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { OnFailure, type RequestOptionsSchema } from "@howdah/proto/howdah/v1/operation";
import type { Request, Task } from "@howdah/proto/howdah/v1/request";
import type {
  RecordReportsResponse,
  TaskReportSchema,
} from "@howdah/proto/howdah/v1/store_reports";
import type {
  RequestTransitionsResult,
  RequestTransitionsSchema,
  TaskTransitionSchema,
} from "@howdah/proto/howdah/v1/store_transitions";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { openTestDatabase, type TestDatabase } from "./database.js";
import {
  createSample,
  openSession,
  type SampleRequest,
  startStore,
  type TestStore,
} from "./store.js";

/** A request whose tasks a test moves. */
export interface Subject {
  readonly requestId: bigint;
  readonly taskIds: readonly bigint[];
  /** Records transitions of its tasks, of attempt 1 unless stated. */
  transit(
    event: TaskEvent,
    taskIds?: readonly bigint[],
    rest?: MessageInitShape<typeof TaskTransitionSchema>,
  ): Promise<RequestTransitionsResult>;
  /** Records a part about it, by a scheduler with this token. Default: 1. */
  mark(
    part: MessageInitShape<typeof RequestTransitionsSchema>,
    token?: bigint,
  ): Promise<RequestTransitionsResult>;
  /** Records a report about one of its tasks, of attempt 1 unless stated. */
  report(
    event: TaskEvent,
    taskId?: bigint,
    rest?: MessageInitShape<typeof TaskReportSchema>,
  ): Promise<RecordReportsResponse>;
  tasks(): Promise<Task[]>;
  /** As it is now, without its age, so that what did not change is the same. */
  request(): Promise<Request>;
}

/** A database, a replica and a host with an open session. */
export interface Fixture {
  readonly database: TestDatabase;
  readonly store: TestStore;
  readonly hostId: bigint;
  readonly sessionEpoch: bigint;
  /** Makes a request of `count` tasks of one role on the host, or of the given stages. */
  subject(
    what: number | SampleRequest["stages"],
    options?: MessageInitShape<typeof RequestOptionsSchema>,
  ): Promise<Subject>;
  close(): Promise<void>;
}

/** Starts a fixture. */
export async function openFixture(): Promise<Fixture> {
  const database = await openTestDatabase();
  const store = await startStore(database.url);
  const { hostId, sessionEpoch } = await openSession(store, "host");

  async function subject(
    what: number | SampleRequest["stages"],
    options: MessageInitShape<typeof RequestOptionsSchema> = { onFailure: OnFailure.CONTINUE },
  ): Promise<Subject> {
    const stages =
      typeof what === "number"
        ? [[{ role: "A", hosts: Array.from({ length: what }, () => hostId) }]]
        : what;
    const { request, taskIds } = await createSample(store, { stages, header: { options } });
    const requestId = request?.requestId ?? 0n;
    return {
      requestId,
      taskIds,
      async mark(part, schedulerToken = 1n) {
        const { results } = await store.client.recordTransitions({
          schedulerToken,
          requests: [{ requestId, ...(part as object) }],
        });
        assert.ok(results[0]);
        return results[0];
      },
      async transit(event, ids = taskIds, rest = {}) {
        const { results } = await store.client.recordTransitions({
          schedulerToken: 1n,
          requests: [
            {
              requestId,
              newRun: event === TaskEvent.RETRIED,
              transitions: ids.map((taskId) => ({
                taskId,
                attempt: 1,
                event,
                hostId,
                sessionEpoch: event === TaskEvent.RELEASED ? sessionEpoch : 0n,
                ...rest,
              })),
            },
          ],
        });
        assert.ok(results[0]);
        return results[0];
      },
      report(event, taskId = taskIds[0] ?? 0n, rest = {}) {
        const report = { taskId, attempt: 1, hostId, sessionEpoch, event, ...rest };
        return store.client.recordReports({ reports: [report] });
      },
      async tasks() {
        return (await store.client.listTasks({ requestId, pageSize: 10_000 })).tasks;
      },
      async request() {
        const { request: now } = await store.client.getRequest({ requestId });
        assert.ok(now);
        return { ...now, ageMs: 0n };
      },
    };
  }

  return {
    database,
    store,
    hostId,
    sessionEpoch,
    subject,
    async close() {
      await store.stop();
      await database.close();
    },
  };
}
