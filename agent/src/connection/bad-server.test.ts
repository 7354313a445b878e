import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { Verdict } from "@howdah/proto/howdah/v1/agent_registration";
import { AckResult, AgentService } from "@howdah/proto/howdah/v1/agent_service";
import { ScriptType } from "@howdah/proto/howdah/v1/command";
import type { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { acknowledged, agentPrefix, startAgent, startAgentWith } from "../testing/started-agent.js";
import {
  idleAlerts,
  idleChecks,
  silent,
  startTestAgent,
  temporaryFolders,
  textOf,
  until,
} from "../testing/test-agent.js";
import { serveDispatcher, shellTask } from "../testing/test-dispatcher.js";
import { fileOutput } from "./attempt-output.js";
import { Reporter } from "./reporter.js";
import { runSession } from "./session.js";
import { connectionTo } from "./stay-connected.js";

/** A gRPC message: its frame, and what is in it. */
function frame(bytes: Uint8Array, { flag = 0, length = bytes.length } = {}): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flag, 0);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, bytes]);
}

const grpc = { ":status": 200, "content-type": "application/grpc+proto" };
const noise = Buffer.from(Array.from({ length: 400 }, (_, n) => (n * 151 + 7) % 256));

/** What a server answers that does not speak the protocol. */
const answers: [string, (stream: ServerHttp2Stream) => void][] = [
  ["noise in a message", (stream) => writeAll(stream, frame(noise))],
  ["a message cut in the middle", (stream) => writeAll(stream, frame(noise, { length: 9_000 }))],
  ["a message of 4 GiB", (stream) => writeAll(stream, frame(noise, { length: 0xffff_ffff }))],
  ["a compressed one that is not", (stream) => writeAll(stream, frame(noise, { flag: 1 }))],
  ["no frame at all", (stream) => writeAll(stream, noise)],
  [
    "a web page",
    (stream) => {
      stream.respond({ ":status": 404, "content-type": "text/html" });
      stream.end("<h1>Not here</h1>");
    },
  ],
  [
    "a status that is none",
    (stream) => {
      stream.respond({ ...grpc, "grpc-status": "many", "grpc-message": "%zz%" });
      stream.end();
    },
  ],
  ["the end of the stream, at once", (stream) => stream.close(2)],
];

function writeAll(stream: ServerHttp2Stream, bytes: Uint8Array): void {
  stream.respond(grpc);
  stream.end(bytes);
}

test("a server that does not speak the protocol is left, and tried again", async (t) => {
  let streams = 0;
  const address = await serveRubbish(t, (stream) => {
    const [, answer] = answers[streams % answers.length] ?? [];
    streams += 1;
    answer?.(stream);
  });
  // What is no HTTP/2 at all, beside it.
  const tcp = createTcpServer((socket) => {
    socket.on("error", () => undefined);
    socket.end(noise);
  });
  tcp.listen(0, "127.0.0.1");
  await once(tcp, "listening");
  t.after(() => tcp.close());
  const addresses = `${address}, 127.0.0.1:${(tcp.address() as AddressInfo).port}`;
  const { iniFile } = agentPrefix(
    t,
    `[server]\naddress = ${addresses}\n[agent]\nhostname = h\nprefix = PREFIX\n`,
  );
  const agent = startAgentWith(t, iniFile);
  const refusals = () => agent.log.filter(({ msg }) => String(msg).startsWith("not connected"));
  // Ever less often.
  await until(() => streams >= 3 && refusals().length >= 5, "some tries");
  assert.ok(agent.log.every(({ level }) => Number(level) < 50));
  assert.equal(agent.errors(), "");
  assert.equal(await agent.end("SIGTERM"), 0);
});

test("each of its answers ends the session with a reason, and nothing else", async (t) => {
  const { folders, remove } = temporaryFolders();
  const { journal, queue, stop } = await startTestAgent(folders);
  t.after(async () => {
    await stop();
    remove();
  });
  for (const [what, answer] of answers) {
    const address = await serveRubbish(t, answer);
    const transport = connectionTo(address, undefined);
    const end = await runSession(
      {
        ...{ journal, queue, log: silent, hostName: "h", agentVersion: "1", labels: {} },
        ...{ factsJson: () => "{}", output: fileOutput(folders, silent) },
        client: createClient(AgentService, transport),
        reporter: new Reporter(journal, silent),
        status: idleChecks(folders),
        alerts: idleAlerts(folders),
        onLive: () => undefined,
        onJournalError: (error) => {
          throw error;
        },
        lastStore: { storeId: "" },
        // A message that never comes whole.
        registerWithinMs: 1_000,
      },
      new AbortController().signal,
    );
    transport.close();
    assert.equal(end.livedMs, 0, what);
    assert.ok(end.error !== undefined, what);
  }
});

/** Serves HTTP/2 with one answer to everything, until the test ends. */
async function serveRubbish(
  t: TestContext,
  answer: (stream: ServerHttp2Stream) => void,
): Promise<string> {
  const server = createServer((_request, response) => {
    response.stream.on("error", () => undefined);
    answer(response.stream);
  });
  server.on("sessionError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("no credit, no heartbeats, no cap, and all of them beyond reason: the agent takes its own", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  const most = 2_147_483_647;
  const results = [
    { maxUnackedReports: 0, heartbeatMs: 0, outputCap: 0n, serverTimeMs: 0n },
    { maxUnackedReports: most, heartbeatMs: most, outputCap: 2n ** 63n - 1n },
    { maxUnackedReports: -most, heartbeatMs: 1, outputCap: -(2n ** 63n), serverTimeMs: -1n },
    { serverTimeMs: 2n ** 63n - 1n, sessionEpoch: -1n },
  ];
  for (const [n, result] of results.entries()) {
    dispatcher.script.result = result;
    dispatcher.cut();
    const before = dispatcher.sessions.length;
    await until(() => dispatcher.sessions.length > before, "another session");
    const session = await dispatcher.session();
    session.say(shellTask(n + 1, "sleep 0.5"));
    await acknowledged(agent, n + 1);
    // At most one a second, whatever is asked for.
    assert.ok(session.all("heartbeat").length <= 30);
  }
  assert.equal(agent.errors(), "");
});

test("a command is run once, however often and in whatever words it comes", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  const session = await dispatcher.session();
  const ran = join(agent.folders.tmp, "ran");
  for (let n = 0; n < 50; n += 1) session.say(shellTask(1, `echo ${n} >>${ran}; sleep 0.1`));
  // Of the first one its report may be the only answer.
  await until(() => dispatcher.acks.length >= 49, "all answers");
  await acknowledged(agent, 1);
  dispatcher.cut();
  const before = dispatcher.sessions.length;
  await until(() => dispatcher.sessions.length > before, "another session");
  const next = await dispatcher.session();
  const reports = dispatcher.reports.length;
  next.say(shellTask(1, `echo again >>${ran}`));
  next.say(shellTask(1, `echo former >>${ran}`, { attempt: 0 }));
  await until(() => dispatcher.reports.length > reports, "its last report");
  assert.equal(textOf(ran), "0\n");
  assert.ok(dispatcher.acks.slice(0, 49).every(({ result }) => result === AckResult.ACCEPTED));
});

test("commands beyond reason are refused or fail with a reason, and the next one runs", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  const session = await dispatcher.session();
  const script = { argv: [], scriptType: ScriptType.SHELL, script: "a.sh", serviceName: "S" };
  const long = "x".repeat(100_000);
  const cases: [Parameters<typeof shellTask>[3], RegExp][] = [
    [{ ...script, packageDigest: "" }, /the stack has no package/],
    [{ ...script, packageDigest: "../../etc" }, /is no SHA-256 digest/],
    [{ ...script, packageDigest: "A".repeat(64) }, /is no SHA-256 digest/],
    [{ ...script, packageDigest: long }, /is no SHA-256 digest/],
    [{ ...script, packageDigest: "a".repeat(64) }, /no package/],
    [{ ...script, scriptType: 77 as ScriptType }, /does not know the script type 77/],
    [{ ...script, script: "" }, /has no script to run/],
    [{ argv: ["/not/there"] }, /./],
    [{ argv: [""] }, /./],
    [{ argv: ["a\0b"] }, /./],
    [{ argv: ["/bin/echo", "x".repeat(200_000)] }, /./],
    [{ argv: [], commandParams: { k: long } }, /has no script to run/],
  ];
  for (const [n, [spec]] of cases.entries()) session.say(shellTask(n + 1, "", {}, spec));
  const role = shellTask(50, "true");
  if (role.case === "executionCommand") {
    role.value = { ...role.value, role: `../../${long}`, roleCommand: 99 as RoleCommand };
  }
  session.say(role);
  session.say({ case: "executionCommand", value: { taskId: 51n, attempt: 1 } });
  for (const [n, [, reason]] of cases.entries()) {
    const { event, reason: told } = await dispatcher.ended(n + 1);
    assert.equal(event, TaskEvent.FAILED, `case ${n}`);
    const errors = textOf(join(agent.folders.data, `errors-${n + 1}.txt`));
    assert.match(`${told} ${errors}`, reason, `case ${n}`);
  }
  assert.match((await dispatcher.ended(50)).reason, /does not know the role command 99/);
  assert.match((await dispatcher.ended(51)).reason, /nothing about what to run/);
  session.say(shellTask(52, "true"));
  await acknowledged(agent, 52);
  assert.equal(session.over, false);
  assert.equal(agent.errors(), "");
});

test("a command larger than a message, and one as large as a message", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  const large = (taskId: number, bytes: number) =>
    shellTask(taskId, "true", {}, { commandParams: { ballast: "x".repeat(bytes) } });
  const before = dispatcher.sessions.length;
  (await dispatcher.session()).say(large(1, 3_000_000));
  await acknowledged(agent, 1);
  (await dispatcher.session()).say(large(2, 20_000_000));
  await until(() => dispatcher.sessions.length > before + 1, "the next session");
  (await dispatcher.session()).say(shellTask(3, "true"));
  await acknowledged(agent, 3);
  assert.equal(agent.entry(2), undefined);
  assert.equal(agent.errors(), "");
});

test("verdicts and acknowledgements of attempts that never were change nothing", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  const verdicts = [Verdict.KEEP, Verdict.CANCEL, Verdict.FORGET, Verdict.REPORT, 99 as Verdict];
  await dispatcher.session();
  dispatcher.script.verdicts = () => [
    ...verdicts.map((verdict) => ({ taskId: 900n, attempt: 1, verdict })),
    { taskId: 2n ** 63n - 1n, attempt: 2_147_483_647, verdict: Verdict.FORGET },
  ];
  dispatcher.cut();
  const before = dispatcher.sessions.length;
  await until(() => dispatcher.sessions.length > before, "another session");
  const session = await dispatcher.session();
  const ack = { attempt: 1, event: TaskEvent.SUCCEEDED, stored: [] };
  session.say({ case: "reportAck", value: { acks: [{ taskId: 900n, ...ack }] } });
  session.say({ case: "alertReportAck", value: { sequence: -1n } });
  session.say({ case: "statusCommand", value: { checks: [{}, { componentName: "../.." }] } });
  session.say(shellTask(900, "echo ran"));
  await acknowledged(agent, 900);
  assert.equal((await dispatcher.ended(900)).event, TaskEvent.SUCCEEDED);
  assert.equal(agent.errors(), "");
});

test("a result that is never acknowledged is kept and told again, over kills, and run once", async (t) => {
  const dispatcher = await serveDispatcher(t);
  dispatcher.script.holdAcks = true;
  const agent = startAgent(t, dispatcher.address);
  const ran = join(agent.folders.tmp, "ran");
  (await dispatcher.session()).say(shellTask(1, `echo ran >>${ran}`));
  await dispatcher.ended(1);
  for (const blow of ["SIGKILL", "SIGTERM"] as const) {
    const before = dispatcher.reports.length;
    await agent.end(blow);
    agent.start();
    await until(() => dispatcher.reports.length > before, "the report again");
  }
  assert.equal(agent.entry(1)?.acknowledgedAtMs, null);
  dispatcher.script.holdAcks = false;
  dispatcher.cut();
  await acknowledged(agent, 1);
  assert.equal(readFileSync(ran, "utf8"), "ran\n");
  assert.ok(existsSync(join(agent.folders.data, "output-1.txt")));
});
