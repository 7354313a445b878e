import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { MaintenanceWindowSchema } from "@howdah/proto/howdah/v1/schedule";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { eventually, stays } from "./testing/eventually.js";
import { fails, run, serve } from "./testing/service.js";

const { FAILED, SUCCEEDED, STARTED } = TaskEvent;

/** A scheduler whose request of two stages failed on host 1 of 2 in the first. */
async function failed(t: TestContext) {
  const served = await serve(t);
  const { store, world } = served;
  const d = await world.dispatcher();
  for (const host of [1, 2]) d.open(host, 1);
  const id = store.addRequest([[{ role: "A", hosts: [1, 2] }], [{ role: "B", hosts: [1, 2] }]]);
  await eventually("the first stage", () => d.taskIds.length === 2);
  d.tell(store.report(2n, SUCCEEDED), store.report(1n, FAILED));
  await world.statuses(id, "FAILED", "COMPLETED", "ABORTED", "ABORTED");
  return { ...served, d, id };
}

describe("retrying a request", () => {
  it("runs what failed and what was given up for it, not what completed", async (t) => {
    const { client, store, world, d, id } = await failed(t);
    const { request } = await client.retryRequest({ requestId: id });
    assert.deepEqual([request?.run, request?.abortReason], [2, ""]);
    await eventually("the first stage again", () => d.taskIds.length === 3);
    assert.deepEqual([d.taskIds[2], d.enqueued[2]?.command.attempt], [1, 2]);
    await stays("the second waits", 100, () => d.taskIds.length === 3);
    d.tell(store.report(1n, SUCCEEDED));
    await world.statuses(id, "COMPLETED", "COMPLETED", "QUEUED", "QUEUED");
  });

  it("runs a cancelled request again", async (t) => {
    const { client, store, world } = await serve(t);
    const d = await world.dispatcher();
    const id = store.addRequest([[{ role: "A", hosts: [1] }]]);
    await eventually("it is driven", async () => {
      return await client.cancelRequest({ requestId: id }).then(
        () => true,
        () => false,
      );
    });
    await world.statuses(id, "ABORTED");
    await client.retryRequest({ requestId: id });
    d.open(1, 1);
    await eventually("it is sent", () => d.taskIds.length === 1);
  });

  it("is refused when the request's maintenance window is gone", async (t) => {
    const { client, store, world } = await serve(t);
    const id = store.addRequest([[{ role: "A", hosts: [1] }]], { window: "NIGHT" });
    await eventually("it is driven", async () => {
      return await client.cancelRequest({ requestId: id }).then(
        () => true,
        () => false,
      );
    });
    await world.statuses(id, "ABORTED");
    const retry = () => client.retryRequest({ requestId: id });
    await fails(retry(), Code.FailedPrecondition, /there is no maintenance window NIGHT/);
    store.schedules.windows.set("NIGHT", create(MaintenanceWindowSchema, { name: "NIGHT" }));
    assert.equal((await retry()).request?.run, 2);
    // No more than any other submission.
    const operation = run(["h1"], "true");
    const other = client.submitRequest({ operation, options: { window: "DAY" } });
    await fails(other, Code.InvalidArgument, /^options\.window: .* window DAY; there are NIGHT/);
    const planned = client.planRequest({ operation, options: { window: "DAY" } });
    await fails(planned, Code.InvalidArgument, /^options\.window: /);
  });

  it("retries on some hosts only, where that leads anywhere", async (t) => {
    const { client, store, world, id, d } = await failed(t);
    const only = (...names: string[]) => client.retryRequest({ requestId: id, hosts: { names } });
    const { FailedPrecondition } = Code;
    await fails(only("h2"), FailedPrecondition, /stage 1 of request 1 has failed on other hosts/);
    await fails(
      only("h3"),
      FailedPrecondition,
      /nothing to retry in request 1: no task of it on these/,
    );
    await fails(only("h9"), Code.InvalidArgument, /hosts: no agent has ever registered as h9/);
    await only("h1");
    await world.statuses(id, "QUEUED", "COMPLETED", "PENDING", "ABORTED");
    d.tell(store.report(1n, SUCCEEDED));
    await world.statuses(id, "COMPLETED", "COMPLETED", "QUEUED", "ABORTED");
  });

  it("lets a retry on one host run although another stays failed, and goes no further", async (t) => {
    const { client, store, world } = await serve(t);
    const d = await world.dispatcher();
    for (const host of [1, 2]) d.open(host, 1);
    const id = store.addRequest([[{ role: "A", hosts: [1, 2] }], [{ role: "B", hosts: [1] }]]);
    await eventually("both", () => d.taskIds.length === 2);
    d.tell(store.report(1n, FAILED), store.report(2n, FAILED));
    await world.statuses(id, "FAILED", "FAILED", "ABORTED");
    await client.retryRequest({ requestId: id, hosts: { names: ["h1"] } });
    await eventually("one again", () => d.taskIds.length === 3);
    d.tell(store.report(1n, SUCCEEDED));
    await world.statuses(id, "COMPLETED", "FAILED", "ABORTED");
  });

  it("refuses a request that runs, one without failures, one that is not there", async (t) => {
    const { client, store, world } = await serve(t);
    const d = await world.dispatcher();
    d.open(1, 1);
    const id = store.addRequest([[{ role: "A", hosts: [1] }]]);
    await eventually("it is sent", () => d.taskIds.length === 1);
    const { FailedPrecondition } = Code;
    await fails(client.retryRequest({ requestId: id }), FailedPrecondition, /1 is still running/);
    await client.pauseRequest({ requestId: id });
    const resume = /1 is paused; resume it, or cancel it first/;
    await fails(client.retryRequest({ requestId: id }), FailedPrecondition, resume);
    await client.resumeRequest({ requestId: id });
    d.tell(store.report(1n, SUCCEEDED));
    await world.statuses(id, "COMPLETED");
    await fails(client.retryRequest({ requestId: id }), FailedPrecondition, /nothing to retry/);
    await fails(client.retryRequest({ requestId: 9n }), Code.NotFound, /no request 9/);
    await fails(client.retryRequest({}), Code.InvalidArgument, /request_id: 0/);
  });

  it("runs an UNKNOWN task again once its host has registered anew, or by force", async (t) => {
    const { client, store, world } = await serve(t);
    const d = await world.dispatcher();
    for (const host of [1, 2]) d.open(host, 1);
    const id = store.addRequest([[{ role: "A", hosts: [1, 2] }]]);
    await eventually("it is sent", () => d.taskIds.length === 2);
    for (const task of [1n, 2n])
      d.tell(store.report(task, STARTED), store.report(task, TaskEvent.DEADLINE_PASSED));
    await world.statuses(id, "UNKNOWN", "UNKNOWN");
    const again = client.retryRequest({ requestId: id });
    await fails(
      again,
      Code.FailedPrecondition,
      /what is UNKNOWN \(2\) may have run, .* then force it \(--force\)/,
    );
    d.close(1);
    d.open(1, 2);
    await eventually("host 1 is there", () =>
      client.retryRequest({ requestId: id }).then(
        () => true,
        () => false,
      ),
    );
    await world.statuses(id, "QUEUED", "UNKNOWN");
    d.tell(store.report(1n, SUCCEEDED));
    await world.statuses(id, "COMPLETED", "UNKNOWN");
    await client.retryRequest({ requestId: id, force: true });
    await world.statuses(id, "COMPLETED", "QUEUED");
  });

  it("begins one run although the answer was lost", async (t) => {
    const { client, store, d, id } = await failed(t);
    store.loseAnswers = 1;
    const { request } = await client.retryRequest({ requestId: id });
    assert.equal(request?.run, 2);
    await eventually("it is sent once more", () => d.taskIds.length === 3);
  });
});
