import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { create } from "@bufbuild/protobuf";
import { ExecutionCommandSchema } from "@howdah/proto/howdah/v1/command";
import { connectService } from "@howdah/service/connect-service";
import { eventually, stays } from "../testing/eventually.js";
import type { FakeDispatcher } from "../testing/fake-dispatcher.js";
import { World } from "../testing/world.js";
import { type DispatcherEvents, DispatcherLink, type ReleasedCommand } from "./dispatcher-link.js";

/** A link to a dispatcher, and what it tells, one word each. */
async function link(t: TestContext): Promise<{
  link: DispatcherLink;
  dispatcher: FakeDispatcher;
  told: string[];
}> {
  const world = await World.start(t);
  const dispatcher = await world.dispatcher();
  const told: string[] = [];
  const events: DispatcherEvents = {
    sessions: (_, sessions) => void told.push(`sessions ${sessions.length}`),
    outOfReach: () => void told.push("out of reach"),
    opened: (_, { hostId }) => void told.push(`opened ${hostId}`),
    closed: (hostId) => void told.push(`closed ${hostId}`),
    changed: (changes) => void told.push(`changed ${changes.length}`),
    undelivered: (taskIds) => void told.push(`undelivered ${taskIds.length}`),
    refused: (commands) => void told.push(`refused ${commands.length}`),
    superseded: () => void told.push("superseded"),
  };
  const address = world.store.leases.rows.get(dispatcher.name)?.address ?? "";
  const transport = connectService({ address });
  const made = new DispatcherLink(dispatcher.name, transport, 1n, events, world.log);
  world.cleanup(() => made.stop());
  await made.answered;
  return { link: made, dispatcher, told };
}

function commands(count: number, bytes = 1): ReleasedCommand[] {
  return Array.from({ length: count }, (_, at) => ({
    sessionEpoch: 1n,
    command: create(ExecutionCommandSchema, {
      ...{ taskId: BigInt(at + 1), attempt: 1, hostId: 1n },
      spec: { argv: ["x".repeat(bytes)] },
    }),
  }));
}

describe("DispatcherLink", () => {
  it("is in reach while it hears the dispatcher, and no longer", async (t) => {
    const { link: made, dispatcher } = await link(t);
    assert.equal(made.isInReach, true);
    await dispatcher.stop();
    await eventually("it is out of reach", () => !made.isInReach);
  });

  it("hands over in order, in calls of a size, also when they are more than a message holds", async (t) => {
    const { link: made, dispatcher } = await link(t);
    dispatcher.open(1, 1);
    made.enqueue(commands(600, 20_000));
    await eventually("all", () => dispatcher.taskIds.length === 600);
    assert.deepEqual(
      dispatcher.taskIds,
      commands(600).map(({ command }) => Number(command.taskId)),
    );
    assert.ok(dispatcher.enqueueCalls > 2);
  });

  it("gives up after a few seconds, says so, and goes on", async (t) => {
    const { link: made, dispatcher, told } = await link(t);
    dispatcher.open(1, 1);
    dispatcher.down = true;
    made.enqueue(commands(1));
    await eventually("it gives up", () => told.includes("undelivered 1"));
    dispatcher.down = false;
    made.enqueue(commands(2));
    await eventually("the next", () => dispatcher.taskIds.length === 2);
  });

  it("tells that all sessions are gone when the connection breaks, and all anew when it is back", async (t) => {
    const { dispatcher, told } = await link(t);
    dispatcher.open(1, 1);
    await eventually("the host", () => told.includes("opened 1"));
    dispatcher.cut();
    await eventually("it is back", () => told.includes("sessions 1"));
    assert.deepEqual(told, ["sessions 0", "opened 1", "out of reach", "sessions 1"]);
  });

  it("says that it is superseded, and tells nothing of the dispatcher any more", async (t) => {
    const { dispatcher, told } = await link(t);
    dispatcher.tokens.push(2n);
    dispatcher.cut();
    await eventually("it is told", () => told.includes("superseded"));
    dispatcher.open(1, 1);
    await stays("nothing is told", 100, () => !told.includes("opened 1"));
  });
});
