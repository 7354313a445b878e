import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { type TestContext, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { silent, until } from "@howdah/agent/testing/test-agent";
import { serveDispatcher, shellTask } from "@howdah/agent/testing/test-dispatcher";
import {
  AlertDefinitionCommandSchema,
  AlertExecutionCommandSchema,
} from "@howdah/proto/howdah/v1/agent_service";
import { AlertState } from "@howdah/proto/howdah/v1/alert";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { simulateFleet } from "./simulated-fleet.js";

/** One simulated host with a dispatcher in this process. */
async function oneHost(t: TestContext, durationMs: number) {
  const dispatcher = await serveDispatcher(t);
  const fleet = simulateFleet({
    ...{ agents: 1, prefix: "sim", labels: {}, connectRate: 100, log: silent },
    servers: { addresses: [dispatcher.address], tls: undefined },
    behaviour: { durationMs: [durationMs, durationMs], failureRate: 0, outputBytes: 0, seed: 1 },
  });
  t.after(() => fleet.stop());
  return { dispatcher, fleet, session: await dispatcher.session() };
}

test("background commands run beside the others, which wait for each other", async (t) => {
  const { dispatcher, fleet, session } = await oneHost(t, 600_000);
  for (const task of [1, 2]) session.say(shellTask(task, "true"));
  for (const task of [3, 4]) session.say(shellTask(task, "true", {}, { background: true }));
  await until(() => dispatcher.acks.length === 4 && fleet.tally.running === 3, "three to run");
  session.say({ case: "cancelCommand", value: cancelOf(1) });
  assert.equal((await dispatcher.ended(1)).event, TaskEvent.CANCELLED);
  await until(() => fleet.tally.running === 3, "the next in order to run");
  for (const task of [2, 3, 4]) session.say({ case: "cancelCommand", value: cancelOf(task) });
  await Promise.all([2, 3, 4].map((task) => dispatcher.ended(task)));
  assert.deepEqual([fleet.tally.running, fleet.tally.ended.ABORTED], [0, 4]);
});

test("results that were not acknowledged are told again on the next connection; alerts are passed over", async (t) => {
  const { dispatcher, fleet, session } = await oneHost(t, 5);
  session.say({ case: "alertDefinitionCommand", value: create(AlertDefinitionCommandSchema) });
  dispatcher.script.holdAcks = true;
  session.say(shellTask(1, "true"));
  await dispatcher.ended(1);
  dispatcher.cut();
  const told = () => dispatcher.reports.filter(({ event }) => event === TaskEvent.SUCCEEDED).length;
  await until(() => told() === 2, "the result once more");
  assert.deepEqual([fleet.tally.reconnects, fleet.tally.ended.COMPLETED], [1, 1]);
  const heard = dispatcher.sessions.flatMap((one) => [
    ...one.all("unsupported"),
    ...one.all("alertReport"),
  ]);
  assert.deepEqual(heard, []);
});

test("an alert that is to be run now is answered at once, as skipped", async (t) => {
  const { session } = await oneHost(t, 5);
  const asked = { executionId: 7n, cluster: { clusterId: 3n }, name: "disk" };
  const value = create(AlertExecutionCommandSchema, asked);
  session.say({ case: "alertExecutionCommand", value });
  await until(() => session.all("alertReport").length === 1, "the answer");
  const [report] = session.all("alertReport");
  assert.deepEqual(
    report?.results.map(({ executionId, clusterId, state, text }) => [
      ...[executionId, clusterId, state, text],
    ]),
    [[7n, 3n, AlertState.SKIPPED, "a simulated host, which checks nothing"]],
  );
});

test("no more agents connect at the same time than may, and each has its turn", async (t) => {
  let open = 0;
  let mostOpen = 0;
  const from = new Set<number>();
  const server = createServer((socket) => {
    open += 1;
    mostOpen = Math.max(mostOpen, open);
    from.add(socket.remotePort ?? 0);
    socket.on("close", () => {
      open -= 1;
    });
    // The client hears of its end before the next one may begin.
    socket.on("error", () => {});
    socket.once("data", () => socket.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const fleet = simulateFleet({
    ...{ agents: 5, prefix: "sim", labels: {}, connectRate: 1_000, mostConnecting: 1, log: silent },
    servers: {
      addresses: [`127.0.0.1:${(server.address() as AddressInfo).port}`],
      tls: undefined,
    },
    behaviour: { durationMs: [5, 5], failureRate: 0, outputBytes: 0, seed: 1 },
  });
  t.after(() => fleet.stop());
  await until(() => from.size >= 10, "ten tries");
  assert.equal(mostOpen, 1);
});

function cancelOf(taskId: number) {
  return {
    $typeName: "howdah.v1.CancelCommand" as const,
    taskId: BigInt(taskId),
    attempt: 1,
    reason: "enough",
  };
}
