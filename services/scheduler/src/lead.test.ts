import assert from "node:assert/strict";
import { it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { eventually } from "./testing/eventually.js";
import { World } from "./testing/world.js";

it("a turn ends as soon as a dispatcher knows a newer scheduler, whatever the lease says", async (t) => {
  const world = await World.start(t);
  const d = await world.dispatcher();
  d.open(1, 1);
  const id = world.store.addRequest([[{ role: "A", hosts: [1] }]]);
  const former = await world.scheduler(1n);
  await eventually("it is sent", () => d.taskIds.length === 1);
  world.store.report(1n, TaskEvent.STARTED);
  const newer = await world.scheduler(2n);
  // Its connection breaks, as that of a scheduler which was stopped for long.
  d.cut();
  await former.ended;
  const late = former.engine.cancelRequest(id, "too late", t.signal);
  const error = await late.then(() => undefined, ConnectError.from);
  assert.equal(error?.code, Code.Unavailable);
  assert.match(error.rawMessage, /does not lead any more/);
  await newer.stop();
});
