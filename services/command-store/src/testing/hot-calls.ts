import { OutputStream } from "@howdah/proto/howdah/v1/command";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { rowsRead } from "./explained.js";
import { createSample, openSession, type TestStore } from "./store.js";

/** What a call cost. */
export interface CallCost {
  readonly name: string;
  readonly ms: number;
  /** Rows that the server looked at, in indexes and tables. */
  readonly rows: number;
}

/**
 * Makes each call of the hot paths on a request of `hosts` tasks and says what it cost. The store must have a pool of one
 * connection: the server counts rows by connection.
 */
export async function measureHotCalls(store: TestStore, hosts = 100): Promise<CallCost[]> {
  const { client, db } = store;
  const costs: CallCost[] = [];
  const measured = async <T>(name: string, call: () => Promise<T>): Promise<T> => {
    const before = await rowsRead(db);
    const began = performance.now();
    const answer = await call();
    const ms = performance.now() - began;
    costs.push({ name, ms, rows: (await rowsRead(db)) - before });
    return answer;
  };
  const sessions: { hostId: bigint; sessionEpoch: bigint }[] = [];
  for (let n = 1; n <= hosts; n += 1) {
    const rest = { dispatcherToken: BigInt(Date.now() + n) };
    const { hostId, sessionEpoch } = await openSession(store, `host-${n}.example.org`, rest);
    sessions.push({ hostId, sessionEpoch });
  }
  const stages = [[{ role: "A", hosts: sessions.map(({ hostId }) => hostId) }]];
  const { request, taskIds } = await measured("create a request", () =>
    createSample(store, { stages }),
  );
  const requestId = request?.requestId ?? 0n;
  const subjects = taskIds.map((taskId, n) => ({ taskId, attempt: 1, ...sessions[n] }));
  const transitions = subjects.map((subject) => ({ ...subject, event: TaskEvent.RELEASED }));
  await measured("release", () =>
    client.recordTransitions({ schedulerToken: 1n, requests: [{ requestId, transitions }] }),
  );
  const reports = (event: TaskEvent) => ({ reports: subjects.map((s) => ({ ...s, event })) });
  await measured("report starts", () => client.recordReports(reports(TaskEvent.STARTED)));
  await measured("append output", () =>
    client.appendOutput({
      appends: subjects.map((subject) => ({
        ...subject,
        chunk: { stream: OutputStream.STDOUT, offset: 0n, data: Buffer.from("x".repeat(200)) },
      })),
    }),
  );
  await measured("open a session", () =>
    openSession(store, "host-1.example.org", { dispatcherToken: BigInt(Date.now() * 2) }),
  );
  const host = sessions[0];
  if (host !== undefined) host.sessionEpoch += 1n;
  subjects.splice(0, 1, { ...subjects[0], ...host } as (typeof subjects)[0]);
  await measured("list unfinished", () => client.listUnfinished({}));
  await measured("list tasks", () => client.listTasks({ requestId }));
  await measured("list tasks that changed", () =>
    client.listTasks({ requestId, changedAfterVersion: 2n }),
  );
  await measured("get a task", () => client.getTask({ taskId: taskIds[0] ?? 0n }));
  await measured("watch", async () => {
    const caller = new AbortController();
    const watching = client.watchRequest(
      { requestId, includeTasks: true },
      { signal: caller.signal },
    );
    for await (const _ of watching) break;
    caller.abort();
  });
  await measured("newest requests", () => client.listRequests({}));
  await measured("unfinished requests", () => client.listRequests({ unfinishedOnly: true }));
  await measured("report ends", () => client.recordReports(reports(TaskEvent.SUCCEEDED)));
  return costs;
}
