import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { Status } from "@howdah/proto/howdah/v1/status";
import type { WatchRequestResponse } from "@howdah/proto/howdah/v1/store_request_reading";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { type Fixture, openFixture } from "../testing/fixture.js";
import { startStore, type TestStore } from "../testing/store.js";

describe("WatchRequest", () => {
  let fixture: Fixture;
  let other: TestStore;
  before(async () => {
    fixture = await openFixture();
    other = await startStore(fixture.database.url);
  });
  after(async () => {
    await other?.stop();
    await fixture?.close();
  });

  /** Follows a request, and keeps for each task the last that was said of it. */
  function watch(store: TestStore, requestId: bigint, signal?: AbortSignal) {
    const messages: WatchRequestResponse[] = [];
    const tasks = new Map<bigint, Status>();
    let told = () => {};
    const done = (async () => {
      const stream = store.client.watchRequest(
        { requestId, includeTasks: true },
        signal === undefined ? {} : { signal },
      );
      for await (const message of stream) {
        messages.push(message);
        for (const { taskId, status } of message.tasks) tasks.set(taskId, status);
        told();
      }
    })();
    const until = async (holds: () => boolean) => {
      while (!holds()) {
        await new Promise<void>((resolve) => {
          told = resolve;
        });
      }
    };
    return { messages, tasks, done, until };
  }

  it("should tell what another replica commits, until the request is over", async () => {
    const subject = await fixture.subject(3);
    const [a = 0n, b = 0n, c = 0n] = subject.taskIds;
    const watched = watch(other, subject.requestId);
    await watched.until(() => watched.tasks.size === 3);
    await subject.transit(TaskEvent.RELEASED);
    await watched.until(() => watched.tasks.get(a) === Status.QUEUED);
    await subject.report(TaskEvent.SUCCEEDED, a);
    await watched.until(() => watched.tasks.get(a) === Status.COMPLETED);
    await subject.report(TaskEvent.SUCCEEDED, b);
    await subject.report(TaskEvent.FAILED, c);
    await watched.done;
    assert.deepEqual(
      [...watched.tasks.values()],
      [Status.COMPLETED, Status.COMPLETED, Status.FAILED],
    );
    const last = watched.messages.at(-1);
    assert.equal(last?.request?.status, Status.FAILED);
    assert.equal(last?.request?.progressPercent, 100);
    assert.equal(last?.stages[0]?.status, Status.FAILED);
    const versions = watched.messages.map(({ request }) => Number(request?.version));
    assert.deepEqual(
      versions,
      versions.toSorted((x, y) => x - y),
    );
  });

  it("should send all tasks of a large request, 1,000 a message, and each change of many", async () => {
    const subject = await fixture.subject(2_500);
    const watched = watch(fixture.store, subject.requestId);
    await watched.until(() => watched.tasks.size === 2_500);
    assert.ok(watched.messages.every(({ tasks }) => tasks.length <= 1_000));
    await subject.transit(TaskEvent.GIVEN_UP);
    await watched.done;
    assert.equal(watched.tasks.size, 2_500);
    assert.ok([...watched.tasks.values()].every((status) => status === Status.ABORTED));
  });

  it("should end when the caller leaves, and answer NOT_FOUND for no request", async () => {
    const subject = await fixture.subject(1);
    const caller = new AbortController();
    const watched = watch(fixture.store, subject.requestId, caller.signal);
    await watched.until(() => watched.messages.length === 1);
    caller.abort();
    await assert.rejects(watched.done);
    await assert.rejects(
      watch(fixture.store, 987_654n).done,
      (error) => error instanceof ConnectError && error.code === Code.NotFound,
    );
  });
});
