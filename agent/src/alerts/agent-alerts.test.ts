import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import {
  AlertDefinitionCommandSchema,
  AlertExecutionCommandSchema,
} from "@howdah/proto/howdah/v1/agent_service";
import { agentPrefix, startAgent } from "../testing/started-agent.js";
import { textOf, until } from "../testing/test-agent.js";
import { clusterOf, portDefinition, putInto, resultText } from "../testing/test-cluster.js";
import { serveDispatcher, type TestSession } from "../testing/test-dispatcher.js";
import { firstRunMs } from "./schedule.js";

async function listen(t: TestContext): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => socket.end());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return { server, port: address.port };
}

/** The id of a definition in cluster 7 that this agent runs first of all, almost at once. */
function soonest(agentId: string): bigint {
  const ids = Array.from({ length: 1_000 }, (_, index) => BigInt(index + 1));
  const waitMs = (id: bigint) => firstRunMs(agentId, `7/${id}`, 60_000);
  return ids.reduce((best, id) => (waitMs(id) < waitMs(best) ? id : best));
}

function told(session: TestSession): string[] {
  return session.all("alertReport").flatMap(({ results }) => results.map(resultText));
}

test("a definition is fetched, checked on its schedule, told, acknowledged; and known after a restart without a server's word", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  const session = await dispatcher.session();
  const id = soonest(session.pages[0]?.agentId ?? "");
  const { server, port } = await listen(t);
  const put = putInto(dispatcher.packages);
  const cluster = clusterOf(put, {
    definitions: [portDefinition("nn", port, { definitionId: id })],
  });
  session.say({
    case: "alertDefinitionCommand",
    value: create(AlertDefinitionCommandSchema, { clusters: [cluster] }),
  });
  await until(() => told(session).length > 0, "the result");
  assert.deepEqual(told(session), [`${id} OK port ${port} is open`]);
  const [report] = session.all("alertReport");
  assert.equal(report?.sequence, 1n);
  assert.deepEqual(report?.staleDefinitionIds, []);

  // Run now: nothing has changed, and it is told.
  session.say({
    case: "alertExecutionCommand",
    value: create(AlertExecutionCommandSchema, { executionId: 9n, cluster, name: "nn" }),
  });
  await until(() => told(session).length > 1, "the answer");
  assert.equal(session.all("alertReport")[1]?.results[0]?.executionId, 9n);

  server.close();
  dispatcher.cut();
  await agent.end("SIGKILL");
  agent.start();
  const next = await until(() => {
    const last = dispatcher.sessions.at(-1);
    return last !== session && last?.over === false && told(last).length > 0 && last;
  }, "what the next agent found");
  assert.deepEqual(told(next), [`${id} CRITICAL connection refused to 127.0.0.1:${port}`]);
  assert.ok(agent.log.some(({ alert, state }) => alert === "nn" && state === "CRITICAL"));
  assert.match(
    textOf(join(agent.folders.clusterCache, "alert_definitions.json")),
    new RegExp(cluster.definitionsDigest),
  );
});

test("an agent with a log file writes what changes to a file of its own", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const { prefix, iniFile } = agentPrefix(
    t,
    `[server]\naddress = ${dispatcher.address}\n[agent]\nhostname = web-1\nprefix = PREFIX\n`,
  );
  const main = fileURLToPath(new URL("../main.js", import.meta.url));
  const child = spawn(process.execPath, [main, "--config", iniFile, "--log-file"], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  t.after(async () => {
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  });
  const session = await dispatcher.session();
  const put = putInto(dispatcher.packages);
  const cluster = clusterOf(put, { definitions: [portDefinition("nn", 1)] });
  session.say({
    case: "alertDefinitionCommand",
    value: create(AlertDefinitionCommandSchema, { clusters: [cluster] }),
  });
  const written = () =>
    textOf(join(prefix, "log", "howdah-alerts.log"))
      .trim()
      .split("\n");
  // What is asked for counts once the definition is watched.
  for (let asked = 1n; written()[0] === ""; asked += 1n) {
    session.say({
      case: "alertExecutionCommand",
      value: create(AlertExecutionCommandSchema, { executionId: asked, cluster, name: "nn" }),
    });
    await until(() => told(session).length >= asked, "the answer");
  }
  const [line = "", ...more] = written();
  assert.deepEqual(more, []); // nothing changed since
  const { alert, component, service, state, msg } = JSON.parse(line);
  assert.deepEqual(
    [alert, service, component, state, msg],
    ["nn", "HDFS", "NAMENODE", "CRITICAL", "connection refused to 127.0.0.1:1"],
  );
});
