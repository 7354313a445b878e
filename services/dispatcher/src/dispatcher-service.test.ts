import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type {
  EnqueueCommandsRequestSchema,
  WatchDeliveriesResponse,
} from "@howdah/proto/howdah/v1/dispatcher_service";
import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { maxQueuedActions } from "./action-queue.js";
import { eventually } from "./testing/eventually.js";
import { deferred, Fixture, type RunningDispatcher } from "./testing/fixture.js";

type Enqueue = MessageInitShape<typeof EnqueueCommandsRequestSchema>;

function commands(hostId: bigint, sessionEpoch: bigint, taskIds: bigint[], argv: string[] = []) {
  return taskIds.map((taskId) => ({
    sessionEpoch,
    command: { taskId, attempt: 1, hostId, role: "RUN", spec: { argv } },
  })) satisfies Enqueue["commands"];
}

/** Follows WatchDeliveries into a list. */
function follow(client: RunningDispatcher["client"], schedulerToken: bigint) {
  const abort = new AbortController();
  const events: NonNullable<WatchDeliveriesResponse["event"]>[] = [];
  let ended: ConnectError | undefined;
  const done = (async () => {
    try {
      const { signal } = abort;
      for await (const { event } of client.watchDeliveries({ schedulerToken }, { signal })) {
        events.push(event);
      }
    } catch (error) {
      ended = ConnectError.from(error);
    }
  })();
  return {
    events,
    ended: () => ended,
    stop: async () => {
      abort.abort();
      await done;
    },
  };
}

test("commands go to their session in order; those of a former session are handed back", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent, client } = await fixture.dispatcher();
  const one = agent();
  const { hostId, sessionEpoch } = await one.register("web-1");
  const answer = await client.enqueueCommands({
    schedulerToken: 1n,
    commands: [
      ...commands(hostId, sessionEpoch, [3n, 1n, 2n]),
      ...commands(hostId, sessionEpoch - 1n, [4n]),
    ],
  });
  assert.deepEqual(answer.refusedTaskIds, [4n]);
  await eventually("three commands", () => one.all("executionCommand").length === 3);
  assert.deepEqual(
    one.all("executionCommand").map(({ taskId }) => taskId),
    [3n, 1n, 2n],
  );
  // The caller did not get the answer and asks again: what was not answered by the agent is not sent twice.
  await client.enqueueCommands({
    schedulerToken: 1n,
    commands: commands(hostId, sessionEpoch, [3n]),
  });
  await client.cancelCommands({
    schedulerToken: 1n,
    cancels: [{ hostId, taskId: 3n, attempt: 1 }],
  });
  await one.next("cancelCommand");
  assert.equal(one.all("executionCommand").length, 3);
});

test("a command that an ended session had written is not handed back", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent, client } = await fixture.dispatcher();
  const one = agent();
  const { hostId, sessionEpoch } = await one.register("web-1");
  await client.enqueueCommands({
    schedulerToken: 1n,
    commands: commands(hostId, sessionEpoch, [1n]),
  });
  await one.next("executionCommand");
  one.cut();
  await eventually("the closed session", () => fixture.store.closed.length === 1);
  const again = { schedulerToken: 1n, commands: commands(hostId, sessionEpoch, [1n, 2n]) };
  assert.deepEqual((await client.enqueueCommands(again)).refusedTaskIds, [2n]);
});

test("a command of a session that the process before this one had is not handed back", async (t) => {
  const fixture = await Fixture.start(t);
  const before = await fixture.dispatcher();
  const one = before.agent();
  const { hostId, sessionEpoch } = await one.register("web-1");
  const call = { schedulerToken: 1n, commands: commands(hostId, sessionEpoch, [1n]) };
  await before.client.enqueueCommands(call);
  await one.next("executionCommand");
  // Killed before it could answer, and started again: the caller repeats the call before the host has registered.
  const { client } = await fixture.dispatcher();
  assert.deepEqual((await client.enqueueCommands(call)).refusedTaskIds, []);
});

test("a command that reached its host with a newer session is not handed back", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent, client } = await fixture.dispatcher();
  const one = agent();
  const { hostId, sessionEpoch } = await one.register("web-1");
  one.goodbye();
  await one.end();
  // Released to the first session, and given to the second one when that opened.
  fixture.store.addTask(1n, "web-1");
  await eventually("the closed session", () => fixture.store.closed.length === 1);
  const two = agent();
  await two.register("web-1");
  await two.next("executionCommand");
  const late = { schedulerToken: 1n, commands: commands(hostId, sessionEpoch, [1n, 2n]) };
  assert.deepEqual((await client.enqueueCommands(late)).refusedTaskIds, [2n]);
});

test("a cancel overtakes the commands that wait, and a slow reader holds up nobody else", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent, client } = await fixture.dispatcher();
  const [slow, quick] = [agent(), agent()] as const;
  const stall = deferred();
  slow.stalled = stall.promise;
  const { hostId, sessionEpoch } = await slow.register("web-1");
  const other = await quick.register("web-2");
  const ids = Array.from({ length: maxQueuedActions }, (_, index) => BigInt(index + 1));
  const argv = ["x".repeat(2_000)];
  const first = { schedulerToken: 1n, commands: commands(hostId, sessionEpoch, ids, argv) };
  assert.deepEqual((await client.enqueueCommands(first)).refusedTaskIds, []);
  // The queue is full: it takes no more, so what waits for one host is bounded.
  const more = { schedulerToken: 1n, commands: commands(hostId, sessionEpoch, [9_999n]) };
  assert.deepEqual((await client.enqueueCommands(more)).refusedTaskIds, [9_999n]);
  const { sessions } = await client.listSessions({});
  assert.ok((sessions[0]?.queuedCommands ?? 0) > 500, "most commands wait here, not in the socket");

  await client.cancelCommands({
    schedulerToken: 1n,
    cancels: [{ hostId, taskId: 1_000n, attempt: 1, reason: "stop it" }],
  });
  await client.enqueueCommands({
    schedulerToken: 1n,
    commands: commands(other.hostId, other.sessionEpoch, [5_000n]),
  });
  await quick.next("executionCommand");
  assert.equal(slow.all("cancelCommand").length, 0);
  stall.resolve();
  slow.stalled = undefined;
  await eventually("all commands", () => slow.all("executionCommand").length === maxQueuedActions);
  const order = slow.heard.map(({ case: kind }) => kind);
  const at = order.indexOf("cancelCommand");
  assert.ok(at > 0 && at < 500, `the cancel came as message ${at} of ${order.length}`);
  assert.equal(slow.all("cancelCommand")[0]?.reason, "stop it");
});

test("a cancel for a host without a session is told as absent", async (t) => {
  const fixture = await Fixture.start(t);
  const { client } = await fixture.dispatcher();
  const cancels = [{ hostId: 5n, taskId: 1n, attempt: 1 }];
  const { absentTaskIds } = await client.cancelCommands({ schedulerToken: 1n, cancels });
  assert.deepEqual(absentTaskIds, [1n]);
});

test("a lower scheduler token is refused, and its watch ends", async (t) => {
  const fixture = await Fixture.start(t);
  const { client } = await fixture.dispatcher();
  const old = follow(client, 5n);
  await eventually("the first message", () => old.events.length === 1);
  const fresh = follow(client, 6n);
  await eventually("the end of the old watch", () => old.ended());
  assert.equal(old.ended()?.code, Code.FailedPrecondition);
  await assert.rejects(client.enqueueCommands({ schedulerToken: 5n }), (error: ConnectError) => {
    assert.equal(error.code, Code.FailedPrecondition);
    assert.match(error.rawMessage, /a newer scheduler with token 6 is active/);
    return true;
  });
  assert.equal(fresh.ended(), undefined);
  await fresh.stop();
});

test("WatchDeliveries tells all sessions, then what opens, changes and closes", async (t) => {
  const fixture = await Fixture.start(t);
  fixture.store.addTask(1n, "web-2");
  const { agent, client } = await fixture.dispatcher();
  await agent().register("web-1");
  const watch = follow(client, 1n);
  await eventually("the list", () => watch.events.length === 1);
  const [list] = watch.events;
  assert.ok(list?.case === "sessions");
  assert.equal(list.value.dispatcher, "dispatcher/d1");
  assert.deepEqual(
    list.value.sessions.map(({ hostName }) => hostName),
    ["web-1"],
  );
  const two = agent();
  const { hostId, sessionEpoch } = await two.register("web-2");
  two.report(1n, TaskEvent.SUCCEEDED);
  await eventually("the change", () => watch.events.length === 3);
  two.goodbye();
  await eventually("the end", () => watch.events.length === 4);
  const [, opened, changes, closed] = watch.events;
  assert.ok(opened?.case === "opened" && opened.value.hostName === "web-2");
  assert.ok(changes?.case === "changes");
  assert.deepEqual(
    changes.value.changes.map(({ taskId, status }) => [taskId, status]),
    [[1n, Status.COMPLETED]],
  );
  assert.ok(closed?.case === "closed");
  assert.deepEqual([closed.value.hostId, closed.value.sessionEpoch], [hostId, sessionEpoch]);
  await watch.stop();
});
