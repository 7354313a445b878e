import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { type Fixture, openFixture } from "../testing/fixture.js";
import { openSession } from "../testing/store.js";

describe("ListTasks and ListRequests", () => {
  let fixture: Fixture;
  before(async () => {
    fixture = await openFixture();
  });
  after(() => fixture?.close());

  it("should list tasks a page at a time, in the order of their ids", async () => {
    const subject = await fixture.subject(25);
    const seen: bigint[] = [];
    let pageToken = "";
    let pages = 0;
    do {
      const page = await fixture.store.client.listTasks({
        requestId: subject.requestId,
        pageSize: 10,
        pageToken,
      });
      seen.push(...page.tasks.map(({ taskId }) => taskId));
      pageToken = page.nextPageToken;
      pages += 1;
    } while (pageToken !== "");
    assert.deepEqual(seen, subject.taskIds);
    assert.equal(pages, 3);
  });

  it("should list what changed after a version, by stage, status and host", async () => {
    const { hostId } = await openSession(fixture.store, "second");
    const subject = await fixture.subject([
      [{ role: "A", hosts: [fixture.hostId, hostId] }],
      [{ role: "B", hosts: [fixture.hostId] }],
    ]);
    const [a = 0n, b = 0n, c = 0n] = subject.taskIds;
    const { version } = await fixture.store.client.listTasks({ requestId: subject.requestId });
    const changed = await subject.transit(TaskEvent.RELEASED, [a]);
    const list = async (rest: object) => {
      const page = await fixture.store.client.listTasks({ requestId: subject.requestId, ...rest });
      return page.tasks.map(({ taskId }) => taskId);
    };
    assert.deepEqual(await list({ changedAfterVersion: version }), [a]);
    assert.deepEqual(await list({ changedAfterVersion: changed.version }), []);
    assert.deepEqual(await list({ stageId: 0 }), [a, b]);
    assert.deepEqual(await list({ stageId: 1 }), [c]);
    assert.deepEqual(await list({ statuses: [Status.PENDING] }), [b, c]);
    assert.deepEqual(await list({ statuses: [Status.QUEUED, Status.PENDING] }), [a, b, c]);
    assert.deepEqual(await list({ hostName: "second" }), [b]);
    assert.deepEqual(await list({ hostName: "nowhere" }), []);
  });

  it("should list requests, newest first, and the unfinished ones", async () => {
    const first = await fixture.subject(1);
    const second = await fixture.subject(1);
    const third = await fixture.subject(1);
    await second.transit(TaskEvent.GIVEN_UP);
    const page = await fixture.store.client.listRequests({ pageSize: 2 });
    assert.deepEqual(
      page.requests.map(({ requestId, counts }) => [requestId, counts?.total]),
      [
        [third.requestId, 1],
        [second.requestId, 1],
      ],
    );
    const next = await fixture.store.client.listRequests({
      pageSize: 1,
      pageToken: page.nextPageToken,
    });
    assert.equal(next.requests[0]?.requestId, first.requestId);
    const unfinished = await fixture.store.client.listRequests({
      pageSize: 2,
      unfinishedOnly: true,
    });
    assert.deepEqual(
      unfinished.requests.map(({ requestId }) => requestId),
      [third.requestId, first.requestId],
    );
  });

  it("should refuse a page that cannot be", async () => {
    const subject = await fixture.subject(1);
    const { requestId } = subject;
    const refused = (error: unknown) =>
      error instanceof ConnectError && error.code === Code.InvalidArgument;
    const { client } = fixture.store;
    await assert.rejects(client.listTasks({ requestId, pageToken: "x" }), refused);
    await assert.rejects(client.listTasks({ requestId, pageSize: -1 }), refused);
    await assert.rejects(
      client.listTasks({ requestId: 987_654n }),
      (error) => error instanceof ConnectError && error.code === Code.NotFound,
    );
  });
});
