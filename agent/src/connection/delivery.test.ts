import assert from "node:assert/strict";
import { test } from "node:test";
import { AckResult } from "@howdah/proto/howdah/v1/agent_service";
import { TaskEvent } from "@howdah/proto/howdah/v1/command_store_service";
import { acknowledged, startAgent } from "../testing/started-agent.js";
import { STDERR, STDOUT, serveDispatcher, shellTask } from "../testing/test-dispatcher.js";

test("a short command: acknowledged, one report with its output, acknowledged in the journal", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  const session = await dispatcher.session();
  const [register] = session.pages;
  assert.equal(register?.hostName, "web-1");
  assert.deepEqual(register?.labels, { rack: "r12" });
  assert.deepEqual([register?.entries, register?.storeId], [[], ""]);
  session.say(shellTask(1, "echo out; echo err >&2; exit 3"));
  const report = await dispatcher.ended(1);
  assert.deepEqual([report.event, report.exitCode], [TaskEvent.FAILED, 3]);
  assert.deepEqual(
    session.heard.map(({ case: kind }) => kind),
    ["register", "commandAck", "commandReport"],
  );
  assert.equal(dispatcher.acks[0]?.result, AckResult.ACCEPTED);
  await acknowledged(agent, 1);
  assert.equal(dispatcher.stored(1, STDOUT).toString(), "out\n\n\nCommand failed after 1 tries\n");
  assert.equal(dispatcher.stored(1, STDERR).toString(), "err\n");
  assert.equal(dispatcher.uploadStreams, 0);
});
