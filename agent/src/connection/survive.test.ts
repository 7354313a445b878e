import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { acknowledged, type StartedAgent, startAgent } from "../testing/started-agent.js";
import { until } from "../testing/test-agent.js";
import {
  STDOUT,
  serveDispatcher,
  shellTask,
  type TestDispatcher,
} from "../testing/test-dispatcher.js";

/** A way to interrupt; afterwards the agent comes back by itself or is started again. */
interface Blow {
  readonly name: string;
  strike(agent: StartedAgent, dispatcher: TestDispatcher): Promise<void>;
}

const blows: Blow[] = [
  {
    name: "kill -9 of the agent",
    async strike(agent, dispatcher) {
      const session = await dispatcher.session();
      await agent.end("SIGKILL");
      await until(() => session.over, "the end of the session");
      agent.start();
    },
  },
  {
    name: "a cut connection",
    async strike(_agent, dispatcher) {
      const session = await dispatcher.session();
      dispatcher.cut();
      await until(() => session.over, "the end of the session");
    },
  },
];

/** Every moment between two steps of a command's way, each as what is awaited before the blow. */
const moments: [string, (agent: StartedAgent, dispatcher: TestDispatcher) => Promise<unknown>][] = [
  ["the command is sent", async () => undefined],
  ["it is journalled", (agent) => until(() => agent.entry(1), "the entry")],
  ["it is acknowledged", (_, { acks }) => until(() => acks.length > 0, "the acknowledgement")],
  ["it has started", (agent) => until(() => text(agent).includes("begun"), "the start")],
  ["its start is reported", (_, { reports }) => until(() => reports.length > 0, "the report")],
  [
    "output is uploaded",
    (_, dispatcher) => until(() => dispatcher.stored(1, STDOUT).length > 0, "output"),
  ],
  [
    "it has ended",
    (agent) => {
      go(agent);
      return until(() => agent.entry(1)?.state === "ENDED", "the end");
    },
  ],
  [
    "its end is reported",
    (agent, dispatcher) => {
      dispatcher.script.holdAcks = true;
      go(agent);
      return dispatcher.ended(1);
    },
  ],
  [
    "its end is committed and its output is not",
    async (agent, dispatcher) => {
      dispatcher.script.holdUploads = true;
      go(agent);
      await dispatcher.ended(1);
      await until(() => dispatcher.uploads.length > 0, "an upload");
    },
  ],
  [
    "its end is acknowledged",
    (agent) => {
      go(agent);
      return acknowledged(agent, 1);
    },
  ],
];

const output = (agent: StartedAgent) => join(agent.folders.data, "output-1.txt");
const go = (agent: StartedAgent) => writeFileSync(join(agent.folders.prefix, "go"), "");

function text(agent: StartedAgent): string {
  try {
    return readFileSync(output(agent), "utf8");
  } catch {
    return "";
  }
}

for (const blow of blows) {
  describe(blow.name, { concurrency: 2 }, () => {
    for (const [moment, reached] of moments) {
      test(`once ${moment}`, async (t: TestContext) => {
        const dispatcher = await serveDispatcher(t);
        const agent = startAgent(t, dispatcher.address);
        const { prefix } = agent.folders;
        const line = `echo begun; echo once >> ${prefix}/ran; until test -e ${prefix}/go; do sleep 0.02; done; head -c 20000 /dev/zero; echo; cat ${prefix}/ran`;
        const command = shellTask(1, line);
        (await dispatcher.session()).say(command);
        await reached(agent, dispatcher);
        await blow.strike(agent, dispatcher);
        dispatcher.script.holdUploads = false;
        dispatcher.script.holdAcks = false;
        go(agent);
        const session = await dispatcher.session();
        // As a dispatcher does: what the journal does not list is sent again.
        if (!session.pages.some(({ entries }) => entries.length > 0)) session.say(command);
        await acknowledged(agent, 1);
        const ends = dispatcher.reports.filter(({ event }) => event !== TaskEvent.STARTED);
        assert.ok(ends.length > 0);
        assert.ok(ends.every(({ event }) => event === TaskEvent.SUCCEEDED));
        const expected = `begun\n${"\0".repeat(20_000)}\nonce\n`;
        assert.equal(dispatcher.stored(1, STDOUT).toString(), expected);
      });
    }
  });
}
