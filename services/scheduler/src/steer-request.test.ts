import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { Code } from "@connectrpc/connect";
import { OnFailure } from "@howdah/proto/howdah/v1/operation";
import { Resolution } from "@howdah/proto/howdah/v1/request_service";
import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { eventually, stays } from "./testing/eventually.js";
import type { RoleOnHosts } from "./testing/fake-store.js";
import { fails, serve } from "./testing/service.js";

const { FAILED, SUCCEEDED, TIMED_OUT } = TaskEvent;
const twoStages: RoleOnHosts[][] = [[{ role: "A", hosts: [1, 2] }], [{ role: "B", hosts: [1] }]];

/** A scheduler with a dispatcher that has the sessions of hosts 1 and 2. */
async function serveHosts(t: TestContext) {
  const served = await serve(t);
  const d = await served.world.dispatcher();
  for (const host of [1, 2]) d.open(host, 1);
  return { ...served, d };
}

describe("pausing and resuming", () => {
  it("releases nothing while a request is paused, then goes on where it stopped", async (t) => {
    const { store, client, world, d } = await serveHosts(t);
    const id = store.addRequest(twoStages);
    await eventually("the first stage", () => d.taskIds.length === 2);
    const { request } = await client.pauseRequest({ requestId: id });
    assert.deepEqual([request?.paused, request?.pauseReason], [true, "an operator paused it"]);
    d.tell(store.report(1n, SUCCEEDED), store.report(2n, SUCCEEDED));
    await stays("the second stage waits", 200, () => d.taskIds.length === 2);
    const { request: resumed } = await client.resumeRequest({ requestId: id });
    assert.equal(resumed?.paused, false);
    await eventually("the second stage", () => d.taskIds.length === 3);
    d.tell(store.report(3n, SUCCEEDED));
    await world.statuses(id, "COMPLETED", "COMPLETED", "COMPLETED");
  });

  it("keeps no other request off its hosts while it is paused", async (t) => {
    const { store, client, d } = await serveHosts(t);
    const id = store.addRequest(twoStages);
    await eventually("the first stage", () => d.taskIds.length === 2);
    const newer = store.addRequest([[{ role: "C", hosts: [1] }]]);
    await stays("the newer one waits", 200, () => store.statuses(newer)[0] === "PENDING");
    await client.pauseRequest({ requestId: id });
    await eventually("the newer one", () => d.taskIds.includes(4));
  });

  it("resumes a request that the store paused and nobody told about", async (t) => {
    const { store, client, d } = await serveHosts(t);
    const id = store.addRequest([[{ role: "A", hosts: [3] }]]);
    await eventually("it is driven", () =>
      client.pauseRequest({ requestId: id }).then(
        () => true,
        () => false,
      ),
    );
    d.open(3, 1);
    await stays("it is paused", 100, () => d.taskIds.length === 0);
    await client.resumeRequest({ requestId: id });
    await eventually("it goes on", () => d.taskIds.length === 1);
  });

  it("pauses and resumes no request that is over, or unknown", async (t) => {
    const { store, client, world, d } = await serveHosts(t);
    const id = store.addRequest([[{ role: "A", hosts: [1] }]]);
    await eventually("it is sent", () => d.taskIds.length === 1);
    d.tell(store.report(1n, SUCCEEDED));
    await world.statuses(id, "COMPLETED");
    await fails(
      client.pauseRequest({ requestId: id }),
      Code.FailedPrecondition,
      /request 1 is over: it is COMPLETED$/,
    );
    await fails(client.resumeRequest({ requestId: id }), Code.FailedPrecondition, /is over/);
    await fails(client.pauseRequest({ requestId: 9n }), Code.NotFound, /no request 9/);
    await fails(client.pauseRequest({}), Code.InvalidArgument, /request_id: 0 is not an id/);
  });
});

describe("resolving what is held", () => {
  const hold = { onFailure: OnFailure.HOLD };

  /** A request of two stages whose first has failed on host 1, held. */
  async function held(t: TestContext) {
    const served = await serveHosts(t);
    const { store, world, d } = served;
    const id = store.addRequest(twoStages, hold);
    await eventually("the first stage", () => d.taskIds.length === 2);
    d.tell(store.report(1n, FAILED), store.report(2n, SUCCEEDED));
    await world.statuses(id, "HOLDING_FAILED", "COMPLETED", "PENDING");
    return { ...served, id };
  }

  it("holds the stage, not its hosts", async (t) => {
    const { store, d } = await held(t);
    const newer = store.addRequest([[{ role: "C", hosts: [1] }]]);
    await eventually("the newer one", () => store.statuses(newer)[0] === "QUEUED");
    await stays("the second stage waits", 100, () => !d.taskIds.includes(3));
  });

  it("retries: a further attempt, at once", async (t) => {
    const { client, world, d, id, store } = await held(t);
    const answer = await client.resolveTasks({ requestId: id, resolution: Resolution.RETRY });
    assert.equal(answer.resolved, 1);
    await eventually("it is sent again", () => d.taskIds.length === 3);
    assert.deepEqual([d.taskIds[2], d.enqueued[2]?.command.attempt], [1, 2]);
    d.tell(store.report(1n, SUCCEEDED));
    await world.statuses(id, "COMPLETED", "COMPLETED", "QUEUED");
  });

  it("waits for no back-off when a person says retry", async (t) => {
    const { store, client, world, d } = await serveHosts(t);
    const retry = { maxAttempts: 2, backoff: { seconds: 60n } };
    const id = store.addRequest([[{ role: "A", hosts: [1] }]], { ...hold, retry });
    const task = store.taskOf(1n);
    task.attempt = 2;
    task.status = Status.HOLDING_FAILED;
    await world.statuses(id, "HOLDING_FAILED");
    await eventually("it is driven", () =>
      client.resolveTasks({ requestId: id, resolution: Resolution.RETRY }).then(
        () => true,
        () => false,
      ),
    );
    await eventually("the third attempt", () => d.enqueued[0]?.command.attempt === 3);
  });

  it("skips: the failure stays, the request goes on", async (t) => {
    const { client, world, id } = await held(t);
    await client.resolveTasks({ requestId: id, taskIds: [1n], resolution: Resolution.SKIP });
    await world.statuses(id, "FAILED", "COMPLETED", "QUEUED");
  });

  it("aborts: the task is given up, and with it the request", async (t) => {
    const { client, world, id, store } = await held(t);
    await client.resolveTasks({ requestId: id, resolution: Resolution.ABORT });
    await world.statuses(id, "ABORTED", "COMPLETED", "ABORTED");
    assert.match(store.stored(id).request.abortReason, /stage 1: A was aborted on 1 host/);
    const said = store.recorded
      .flatMap(({ requests }) => requests.flatMap(({ transitions }) => transitions))
      .find(({ event }) => event === TaskEvent.RESOLVED_ABORT);
    assert.equal(said?.reason, "given up by a person (resolve --abort)");
  });

  it("refuses a task that is not held, naming it, and changes none of the others", async (t) => {
    const { client, id, store } = await held(t);
    const other = store.addRequest([[{ role: "C", hosts: [7] }]]);
    const { FailedPrecondition, InvalidArgument } = Code;
    const resolve = (taskIds: bigint[], resolution: Resolution, requestId = id) =>
      client.resolveTasks({ requestId, taskIds, resolution });
    const { SKIP, UNSPECIFIED } = Resolution;
    await fails(
      resolve([1n, 2n], SKIP),
      FailedPrecondition,
      /task 2 is COMPLETED: it does not wait/,
    );
    await fails(resolve([4n], SKIP), InvalidArgument, /task_ids: task 4 is of request 2, not of 1/);
    await fails(resolve([99n], SKIP), Code.NotFound, /no task 99/);
    await fails(resolve([1n], UNSPECIFIED), InvalidArgument, /resolution: 0 is not known/);
    await eventually("the other is driven", () => store.requests.size === 2);
    assert.equal(store.statuses(id)[0], "HOLDING_FAILED");
    assert.equal(store.statuses(other)[0], "PENDING");
  });

  it("gives up what is held when the request is cancelled", async (t) => {
    const { client, world, id } = await held(t);
    await client.cancelRequest({ requestId: id });
    await world.statuses(id, "ABORTED", "COMPLETED", "ABORTED");
  });

  it("holds what timed out too, and manual steps, which are done or given up", async (t) => {
    const { store, client, world, d } = await serveHosts(t);
    const manual = [{ role: "M", hosts: [1], manual: true }];
    const id = store.addRequest([manual, [{ role: "A", hosts: [1] }]], hold);
    await world.statuses(id, "HOLDING", "PENDING");
    assert.deepEqual(d.taskIds, []);
    const retry = client.resolveTasks({ requestId: id, resolution: Resolution.RETRY });
    await fails(retry, Code.FailedPrecondition, /task 1: a manual step is not run again/);
    await client.resolveTasks({ requestId: id, resolution: Resolution.SKIP });
    await world.statuses(id, "COMPLETED", "QUEUED");
    d.tell(store.report(2n, TIMED_OUT));
    await world.statuses(id, "COMPLETED", "HOLDING_TIMEDOUT");
  });

  it("forgets nothing that is said about a step before the store has answered that it is held", async (t) => {
    const { store, client, world } = await serveHosts(t);
    let answer: () => void = () => undefined;
    store.holdAnswers = new Promise((resolve) => {
      answer = resolve;
    });
    const manual = [{ role: "M", hosts: [1], manual: true }];
    const id = store.addRequest([manual, [{ role: "A", hosts: [1] }]], hold);
    await world.statuses(id, "HOLDING", "PENDING");
    let resolved: number | undefined;
    const resolving = client
      .resolveTasks({ requestId: id, resolution: Resolution.ABORT })
      .then((response) => {
        resolved = response.resolved;
      });
    await stays("it is not answered yet", 200, () => resolved === undefined);
    answer();
    await resolving;
    assert.equal(resolved, 1);
    await world.statuses(id, "ABORTED", "ABORTED");
  });
});
