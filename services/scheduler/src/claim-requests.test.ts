import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { eventually } from "./testing/eventually.js";
import { World } from "./testing/world.js";

describe("a take-over", () => {
  it("owns every request before it reads them: a former leader can write nothing more", async (t) => {
    const world = await World.start(t);
    const { store } = world;
    const d = await world.dispatcher();
    d.open(1, 1);
    const id = store.addRequest([[{ role: "A", hosts: [1] }]]);
    const former = await world.scheduler(1n);
    await eventually("it is sent", () => d.taskIds.length === 1);
    store.report(1n, TaskEvent.STARTED);
    await former.stop();
    // Nothing of the request is to be done now: nothing else would tell the store who owns it.
    await world.scheduler(2n);
    await eventually("it is owned", () => store.stored(id).ownerToken === 2n);
    const clients = world.clients();
    const transition = { taskId: 1n, attempt: 1, hostId: 1n, event: TaskEvent.DEADLINE_PASSED };
    const { results } = await clients.store.recordTransitions({
      schedulerToken: 1n,
      requests: [{ requestId: id, transitions: [transition] }],
    });
    assert.equal(results[0]?.staleOwner, true);
    assert.deepEqual(store.statuses(id), ["IN_PROGRESS"]);
  });

  it("tries on while the store is away, and gives up when another one owns a request already", async (t) => {
    const world = await World.start(t);
    const { store } = world;
    const id = store.addRequest([[{ role: "A", hosts: [1] }]]);
    store.down = true;
    await world.scheduler(2n);
    store.down = false;
    await eventually("it is owned", () => store.stored(id).ownerToken === 2n);
    store.lostHosts.fences = false;
    const { ended } = await world.scheduler(1n);
    // Or the host monitor meets the newer one first.
    const why = /StaleOwnerError: (another scheduler owns request 1|a newer scheduler)/;
    assert.match(String(await ended), why);
  });

  it("is held up by no request that the store refuses to let be taken over", async (t) => {
    const world = await World.start(t);
    const { store } = world;
    const d = await world.dispatcher();
    for (const host of [1, 2, 3]) d.open(host, 1);
    for (const host of [1, 2, 3]) store.addRequest([[{ role: "A", hosts: [host] }]]);
    store.refuse = ({ requests }) =>
      requests.some(({ requestId }) => requestId === 2n)
        ? new ConnectError("a bad row", Code.Internal)
        : undefined;
    await world.scheduler(2n);
    await eventually("the others", () => d.taskIds.length === 2);
    assert.deepEqual([...d.taskIds].sort(), [1, 3]);
  });
});
