import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { ScriptType } from "@howdah/proto/howdah/v1/command";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { create as createTar } from "tar";
import { type StartedAgent, startAgent } from "../testing/started-agent.js";
import { silent, temporaryFolders, until } from "../testing/test-agent.js";
import {
  STDERR,
  STDOUT,
  serveDispatcher,
  shellTask,
  type TestDispatcher,
} from "../testing/test-dispatcher.js";
import { createSessionSlot, fetcher } from "./fetcher.js";
import type { LiveSession } from "./session-options.js";

const scriptTask = (id: number, packageDigest: string) =>
  shellTask(
    id,
    "",
    {},
    {
      argv: [],
      ...{ scriptType: ScriptType.SHELL, script: "run.sh", packageDigest, serviceName: "HDFS" },
    },
  );

/** Puts a package with a script and some ballast on the server; returns its digest. */
async function servePackage(dispatcher: TestDispatcher): Promise<string> {
  const { folders, remove } = temporaryFolders();
  writeFileSync(join(folders.tmp, "run.sh"), 'echo "ran $1"; grep -c taskId "$2"\n');
  writeFileSync(join(folders.tmp, "ballast"), Buffer.alloc(200_000, "ballast"));
  const file = join(folders.tmp, "package.tar");
  await createTar({ file, cwd: folders.tmp }, ["run.sh", "ballast"]);
  const bytes = readFileSync(file);
  remove();
  const digest = createHash("sha256").update(bytes).digest("hex");
  dispatcher.packages.set(digest, bytes);
  return digest;
}

async function setUp(t: TestContext) {
  const dispatcher = await serveDispatcher(t);
  const digest = await servePackage(dispatcher);
  const agent: StartedAgent = startAgent(t, dispatcher.address);
  return { dispatcher, digest, agent, session: await dispatcher.session() };
}

test("a command's package is fetched once, and its script run", async (t) => {
  const { dispatcher, digest, session } = await setUp(t);
  session.say(scriptTask(1, digest));
  session.say(scriptTask(2, digest));
  await dispatcher.ended(2);
  assert.equal((await dispatcher.ended(1)).event, TaskEvent.SUCCEEDED);
  await until(() => dispatcher.stored(1, STDOUT).length > 0, "output");
  assert.match(dispatcher.stored(1, STDOUT).toString(), /^ran EXECUTE\n1\n/);
  assert.deepEqual(dispatcher.fetches, [digest]);
});

test("a fetch whose stream, connection or session breaks in the middle begins anew", async (t) => {
  const { dispatcher, digest, session } = await setUp(t);
  const { fetch } = dispatcher.script;
  const breaks = [
    () => {
      throw new ConnectError("broken by the test", Code.Unavailable);
    },
    () => {
      throw new ConnectError("the store fails", Code.Internal);
    },
    () => dispatcher.cut(),
    () => session.end(),
  ];
  dispatcher.script.fetch = async function* (request, signal) {
    let sent = 0;
    for await (const piece of fetch(request, signal)) {
      yield piece;
      sent += 1;
      if (sent === 50) breaks.shift()?.();
    }
  };
  session.say(scriptTask(1, digest));
  const report = await dispatcher.ended(1);
  assert.equal(report.event, TaskEvent.SUCCEEDED, report.reason);
  assert.ok(dispatcher.fetches.length >= 4, `${dispatcher.fetches.length} fetches`);
});

test("what the server does not have, sends wrongly or always fails over fails the command", async (t) => {
  const { dispatcher, digest, session } = await setUp(t);
  const wrong = "d".repeat(64);
  dispatcher.packages.set(wrong, Buffer.from("something else"));
  session.say(scriptTask(1, "e".repeat(64)));
  session.say(scriptTask(2, wrong));
  const reasons = [];
  for (const task of [1, 2]) {
    const { event, reason } = await dispatcher.ended(task);
    assert.equal(event, TaskEvent.FAILED);
    reasons.push(reason);
  }
  assert.match(reasons[0] ?? "", /^the server cannot give e{64}: no package e{64}$/);
  assert.match(reasons[1] ?? "", /^what the server sent for d{64} has the digest /);
  assert.match(dispatcher.stored(1, STDERR).toString(), /no package/);
  // biome-ignore lint/correctness/useYield: it fails before it has anything
  dispatcher.script.fetch = async function* () {
    throw new ConnectError("the store is mad", Code.Internal);
  };
  session.say(scriptTask(3, digest));
  assert.match((await dispatcher.ended(3)).reason, /the store is mad/);
});

test("a cancel ends the wait for a package that does not come, and the call", async (t) => {
  const { dispatcher, digest, session } = await setUp(t);
  let call: AbortSignal | undefined;
  dispatcher.script.fetch = async function* (_request, signal) {
    call = signal;
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  };
  session.say(scriptTask(1, digest));
  await until(() => call, "the fetch");
  session.say({ case: "cancelCommand", value: { taskId: 1n, attempt: 1, reason: "too slow" } });
  const report = await dispatcher.ended(1);
  assert.deepEqual([report.event, report.reason], [TaskEvent.CANCELLED, "too slow"]);
  await until(() => call?.aborted, "the end of the call");
  assert.equal(session.over, false);
});

test("a server that sends without an end fills no disk", async (t) => {
  const { folders, remove } = temporaryFolders();
  t.after(remove);
  let over = false;
  async function* endless() {
    try {
      for (;;) yield { data: Buffer.alloc(10_000) };
    } finally {
      over = true;
    }
  }
  const sessions = createSessionSlot();
  const { signal } = new AbortController();
  sessions.set({ client: { fetchPackage: endless }, key: {}, signal } as unknown as LiveSession);
  const fetch = fetcher(sessions, silent, 100_000);
  const path = join(folders.tmp, "package");
  await assert.rejects(
    fetch("a".repeat(64), path, signal),
    /^PackageError: a{64} cannot be kept: the server sends more than 100000 bytes$/,
  );
  assert.ok(statSync(path).size <= 100_000);
  assert.ok(over, "the call is ended");
});
