import assert from "node:assert/strict";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { StatusCommandSchema } from "@howdah/proto/howdah/v1/agent_service";
import type { StatusCheck } from "@howdah/proto/howdah/v1/command";
import { type StartedAgent, startAgent } from "../testing/started-agent.js";
import { textOf, until } from "../testing/test-agent.js";
import { checkOf, packageDigest, statusText } from "../testing/test-checks.js";
import { serveDispatcher, shellTask, type TestSession } from "../testing/test-dispatcher.js";

/** Puts a package on an agent's disk, as if it had been fetched. */
function install(agent: StartedAgent, component: string, text: string): void {
  const scripts = join(agent.folders.cache, "packages", packageDigest, "scripts");
  mkdirSync(scripts, { recursive: true });
  writeFileSync(join(scripts, `${component}.sh`), `HERE=${agent.folders.tmp}\n${text}\n`);
}

async function start(t: TestContext) {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  return { dispatcher, agent, session: await dispatcher.session() };
}

function command(session: TestSession, ...checks: StatusCheck[]): void {
  session.say({ case: "statusCommand", value: create(StatusCommandSchema, { checks }) });
}

function told(session: TestSession): string[] {
  return session
    .all("componentStatusReport")
    .flatMap(({ statuses }) => statuses.map(statusText))
    .sort();
}

test("a status is told, told again in the next session, and checked again after each command", async (t) => {
  const { dispatcher, agent, session } = await start(t);
  install(agent, "NN", '[ -e "$HERE/up" ]');
  install(agent, "DN", "exit 0");
  command(session, checkOf("NN"), checkOf("DN"));
  await until(() => told(session).length === 2, "two states");
  assert.deepEqual(told(session), ["DN STARTED", "NN INSTALLED"]);

  // The command of another component changes nothing, that of the component itself has it checked.
  const about = (componentName: string) => ({ componentName, clusterId: 7n });
  const line = `touch ${agent.folders.tmp}/up`;
  session.say(shellTask(1, line, {}, about("DN")));
  await dispatcher.ended(1);
  await until(() => told(session).filter((each) => each === "DN STARTED").length > 1, "DN");
  assert.ok(!told(session).includes("NN STARTED"));
  session.say(shellTask(2, line, {}, about("NN")));
  await until(() => told(session).includes("NN STARTED"), "NN");
  assert.equal(agent.journal().length, 2);

  dispatcher.cut();
  const next = await until(() => {
    const last = dispatcher.sessions.at(-1);
    return last !== session && last !== undefined && told(last).length === 2 && last;
  }, "the next session to be told");
  assert.deepEqual(told(next), ["DN STARTED", "NN STARTED"]);
});

test("after the server has recorded a result, the status is told once more", async (t) => {
  const { dispatcher, agent, session } = await start(t);
  install(agent, "NN", "exit 0");
  command(session, checkOf("NN"));
  await until(() => told(session).length === 1, "a state");
  dispatcher.script.holdAcks = true;
  session.say(shellTask(1, "true", {}, { componentName: "NN", clusterId: 7n }));
  await until(() => told(session).length === 2, "the state after the command");
  dispatcher.releaseAcks();
  await until(() => told(session).length === 3, "the state once more");
});

test("while a command of the component runs it is not checked", async (t) => {
  const { agent, session } = await start(t);
  install(agent, "NN", 'echo . >> "$HERE/nn"');
  install(agent, "DN", "exit 0");
  session.say(shellTask(1, "sleep 300", {}, { componentName: "NN", clusterId: 7n }));
  await until(() => agent.entry(1)?.state === "RUNNING", "the command to run");
  command(session, checkOf("NN"), checkOf("DN"));
  await until(() => told(session).includes("DN STARTED"), "the other component");
  assert.equal(textOf(join(agent.folders.tmp, "nn")), "");
  session.say({ case: "cancelCommand", value: { taskId: 1n, attempt: 1, reason: "test" } });
  await until(() => told(session).includes("NN STARTED"), "its status");
});

test("the check of an agent that was killed is ended by the next one, and its files are removed", async (t) => {
  const { dispatcher, agent, session } = await start(t);
  install(agent, "NN", 'echo $$ > "$HERE/pid"; sleep 300');
  command(session, checkOf("NN"));
  const pid = await until(() => textOf(join(agent.folders.tmp, "pid")).trim(), "the check");
  const files = () => readdirSync(agent.folders.data).filter((name) => name.startsWith("status_"));
  const left = files();
  assert.equal(left.length, 1);
  await agent.end("SIGKILL");
  assert.deepEqual(files(), left);
  agent.start();
  await until(() => dispatcher.sessions.length > 1, "the next session");
  await until(() => textOf(`/proc/${pid}/stat`) === "", "the script to be gone");
  // It begins with a check of its own, by what the server said last.
  assert.ok(!files().includes(left[0] ?? ""), "the former file is there");
});

test("an agent that is told to end takes its checks along", async (t) => {
  const { agent, session } = await start(t);
  install(agent, "NN", 'echo $$ > "$HERE/pid"; sleep 300');
  command(session, checkOf("NN"));
  const pid = await until(() => textOf(join(agent.folders.tmp, "pid")).trim(), "the check");
  assert.equal(await agent.end("SIGTERM"), 0);
  assert.equal(textOf(`/proc/${pid}/stat`), "");
});
