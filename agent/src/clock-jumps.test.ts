import assert from "node:assert/strict";
import { existsSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { acknowledged, agentPrefix, startAgentWith } from "./testing/started-agent.js";
import { textOf, until } from "./testing/test-agent.js";
import { serveDispatcher, shellTask } from "./testing/test-dispatcher.js";

const library = ["x86_64", "aarch64"]
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`)
  .find((path) => existsSync(path));

test("a clock that jumps by years, both ways: time-outs, sessions and results stay as they are", async (t) => {
  if (library === undefined) return t.skip("libfaketime is not installed");
  const dispatcher = await serveDispatcher(t);
  dispatcher.script.result = { heartbeatMs: 1_000, serverTimeMs: BigInt(Date.now()) };
  const { iniFile, prefix } = agentPrefix(
    t,
    `[server]\naddress = ${dispatcher.address}\n[agent]\nhostname = h\nprefix = PREFIX\n`,
  );
  const file = join(prefix, "clock");
  const setClock = (seconds: number) => {
    writeFileSync(`${file}.new`, `${seconds < 0 ? "" : "+"}${seconds}\n`);
    renameSync(`${file}.new`, file);
  };
  setClock(0);
  const agent = startAgentWith(t, iniFile, {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_CACHE_DURATION: "1",
    DONT_FAKE_MONOTONIC: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    FAKETIME_DISABLE_SHM: "1",
  });
  const session = await dispatcher.session();
  const go = join(prefix, "tmp", "go");
  const ran = join(prefix, "tmp", "ran");
  const waits = (n: number) => `echo ${n} >>${ran}; until [ -e ${go} ]; do sleep 0.05; done`;
  session.say(shellTask(1, waits(1), {}, { timeoutMs: 60_000n }));
  await until(() => textOf(ran) === "1\n", "the command");
  const year = 365 * 86_400;
  for (const seconds of [3 * year, -3 * year]) {
    setClock(seconds);
    const beats = session.all("heartbeat").length;
    await until(() => session.all("heartbeat").length > beats, "heartbeats after the jump");
  }
  // Killed and started in another year, it takes up what runs.
  await agent.end("SIGKILL");
  setClock(2 * year);
  const before = dispatcher.sessions.length;
  agent.start();
  await until(() => dispatcher.sessions.length > before, "another session");
  const next = await dispatcher.session();
  assert.ok(next.pages[0]?.entries.some(({ taskId }) => taskId === 1n));
  // A time-out that has begun in one year ends in another.
  next.say(shellTask(2, "sleep 300", {}, { timeoutMs: 2_000n, background: true }));
  await until(() => dispatcher.reports.some(({ taskId }) => taskId === 2n), "it to begin");
  setClock(-5 * year);
  assert.equal((await dispatcher.ended(2)).event, TaskEvent.TIMED_OUT);
  writeFileSync(go, "");
  assert.equal((await dispatcher.ended(1)).event, TaskEvent.SUCCEEDED);
  await acknowledged(agent, 1);
  await acknowledged(agent, 2);
  next.say(shellTask(1, waits(9)));
  next.say(shellTask(3, `echo 3 >>${ran}`));
  await acknowledged(agent, 3);
  assert.equal(textOf(ran), "1\n3\n");
  assert.equal(agent.errors(), "");
});
