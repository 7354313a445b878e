import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { commandLine, listProcesses, readProcess } from "./process-table.js";
import { agentPrefix } from "./testing/started-agent.js";
import { textOf, until } from "./testing/test-agent.js";
import { STDOUT, serveDispatcher, shellTask } from "./testing/test-dispatcher.js";

const script = fileURLToPath(new URL("../bin/howdah-agent", import.meta.url));

/** An agent under a prefix of its own, steered by the script; whatever is left of it ends with the test. */
function controlled(t: TestContext, address: string, more = "") {
  const ini = `[server]\naddress = ${address}\n[agent]\nhostname = web-1\nprefix = PREFIX\n${more}`;
  const { prefix, iniFile } = agentPrefix(t, ini);
  const ours = () =>
    listProcesses().filter(({ pid, zombie }) => !zombie && commandLine(pid).includes(iniFile));
  t.after(() => {
    for (const { pid } of ours()) process.kill(pid, "SIGKILL");
  });
  const call = (...args: string[]) =>
    new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      const env = { ...process.env, HOWDAH_AGENT_CONFIG: iniFile, HOWDAH_TASK: "of:a:command" };
      execFile(script, args, { env }, (error, stdout, stderr) => {
        const code = error === null ? 0 : Number(error.code);
        resolve({ code, stdout, stderr });
      });
    });
  const pid = () => Number(textOf(join(prefix, "run", "howdah-agent.pid")));
  return { prefix, iniFile, ours, call, pid };
}

test("start, status, stop: exit codes as LSB has them, and nothing left behind", async (t) => {
  const { prefix, ours, call, pid } = controlled(t, "127.0.0.1:1");
  assert.deepEqual(await call("status"), {
    ...{ code: 3, stdout: "howdah-agent is not running\n", stderr: "" },
  });
  const started = await call("start");
  assert.deepEqual([started.code, started.stderr], [0, ""]);
  assert.match(started.stdout, /^howdah-agent is started \(pid \d+\); it logs to .*agent.log\n$/);
  assert.equal((await call("status")).code, 0);
  const again = await call("start");
  assert.deepEqual([again.code, again.stdout], [0, `howdah-agent is running (pid ${pid()})\n`]);
  const environment = readFileSync(`/proc/${pid()}/environ`, "utf8");
  assert.doesNotMatch(environment, /HOWDAH_TASK=/); // else a cancel of the command that started it would stop it
  assert.match((await call("reset")).stderr, /it is running; stop it first/);
  assert.equal((await call("stop")).code, 0);
  assert.deepEqual(ours(), []);
  assert.deepEqual(readdirSync(join(prefix, "run")), ["lock"]);
  assert.equal((await call("stop")).code, 0);
  const log = textOf(join(prefix, "log", "howdah-agent.log"));
  assert.equal(JSON.parse(log.trimEnd().split("\n").at(-1) ?? "").msg, "stopped");
  assert.equal(textOf(join(prefix, "log", "howdah-agent.out")), "");
  assert.equal((await call("reset")).code, 0);
});

test("a crash: the keeper starts it again; without its keeper it is dead, and can be started", async (t) => {
  const { prefix, ours, call, pid } = controlled(t, "127.0.0.1:1");
  await call("start");
  const first = pid();
  process.kill(first, "SIGKILL");
  await until(() => pid() !== first && readProcess(pid()) !== undefined, "the next agent");
  assert.match(textOf(join(prefix, "log", "howdah-agent.out")), /exit code 137\); .* in 1 s/);
  for (const { pid } of ours()) process.kill(pid, "SIGKILL");
  await until(() => ours().length === 0, "both to be gone");
  const { code, stdout } = await call("status");
  assert.deepEqual([code, stdout], [1, "howdah-agent is dead, and its pid file is there\n"]);
  assert.equal((await call("start")).code, 0);
  assert.equal((await call("stop")).code, 0);
  assert.equal((await call("status")).code, 3);
});

test("what an operator has to mend: it says so, starts nothing and goes on trying nothing", async (t) => {
  const bad = controlled(t, "nowhere");
  const { code, stderr } = await bad.call("start");
  assert.equal(code, 6);
  assert.match(stderr, /ini:2: \[server\] address "nowhere" is no address/);
  assert.equal((await bad.call("status")).code, 4);
  const tls = controlled(t, "127.0.0.1:1\nca_file = /nowhere");
  const refused = await tls.call("start");
  assert.equal(refused.code, 6, refused.stderr);
  assert.match(refused.stderr, /cannot read certificate file \/nowhere/);
  assert.deepEqual(tls.ours(), []);
  assert.equal((await tls.call("begin")).code, 2);
  assert.equal((await tls.call("stop", "--force")).code, 2);
  assert.equal((await tls.call("start", "--config", "/nowhere")).code, 6);
});

test("a restart leaves commands alone: the next agent reports them; scripts see howdah-env.sh", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const { prefix, call, pid } = controlled(t, dispatcher.address);
  writeFileSync(join(prefix, "howdah-env.sh"), "export GREETING='hello there'\n");
  chmodSync(join(prefix, "howdah-env.sh"), 0o700);
  await call("start");
  const session = await dispatcher.session();
  const go = join(prefix, "go");
  session.say(shellTask(1, `echo "$GREETING"; until [ -e ${go} ]; do sleep 0.05; done; echo end`));
  await until(() => dispatcher.reports.length > 0, "the start of the command");
  const first = pid();
  assert.equal((await call("restart")).code, 0);
  assert.notEqual(pid(), first);
  writeFileSync(go, "");
  const report = await dispatcher.ended(1);
  assert.equal(report.event, TaskEvent.SUCCEEDED);
  const stored = () => dispatcher.stored(1, STDOUT).toString();
  await until(() => stored() === "hello there\nend\n", "all of its output");
  assert.equal((await call("stop")).code, 0);
  assert.equal((await call("try-restart")).code, 0);
  assert.equal((await call("status")).code, 3);
});

test("an agent that does not stop is killed after a while", async (t) => {
  const { prefix, ours, call, pid } = controlled(t, "127.0.0.1:1");
  writeFileSync(join(prefix, "howdah-env.sh"), "HOWDAH_STOP_SECONDS=1\n");
  await call("start");
  process.kill(pid(), "SIGSTOP");
  const { code, stdout } = await call("stop");
  assert.deepEqual([code, stdout], [0, "howdah-agent did not stop by itself, and was killed\n"]);
  assert.deepEqual(ours(), []);
});

test("a full disk: the keeper is found all the same, so that stop ends it with the agent", async (t) => {
  const run = mkdtempSync(join(tmpdir(), "howdah-run-"));
  const mount = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "howdah-test", run]);
  t.after(() => {
    spawnSync("umount", ["-l", run]);
    rmSync(run, { recursive: true });
  });
  if (mount.status !== 0) return t.skip("only root can mount a file system");
  const { prefix, ours, call } = controlled(t, "127.0.0.1:1", `run_dir = ${run}\n`);
  spawnSync("dd", ["if=/dev/zero", `of=${join(run, "filler")}`, "bs=4k"]);
  const started = await call("start");
  assert.deepEqual([started.code, started.stderr], [0, ""]);
  const { code, stdout } = await call("stop");
  assert.deepEqual([code, stdout], [0, "howdah-agent is stopped; commands that run go on\n"]);
  assert.deepEqual(ours(), []);
  // Also while the agent is away and its keeper is about to start it again.
  await call("start");
  const agent = readdirSync(join(run, "lock"))[0]?.split(".")[0];
  process.kill(Number(agent), "SIGKILL");
  await until(() => textOf(join(prefix, "log", "howdah-agent.out")).includes("137"), "its end");
  assert.match((await call("status")).stdout, /has crashed and .* by its keeper|is running/);
  assert.equal((await call("stop")).code, 0);
  assert.deepEqual(ours(), []);
  assert.deepEqual(readdirSync(run).sort(), ["filler", "lock"]);
});

test("the engine gets its options, and none where it does not know them", async (t) => {
  const { prefix, iniFile, call, pid } = controlled(t, "127.0.0.1:1");
  await call("start");
  const gc = ["--single-threaded-gc", "--max-semi-space-size=2", "--memory-reducer-single-gc"];
  assert.deepEqual(commandLine(pid()).slice(1, 4), gc);
  assert.equal((await call("stop")).code, 0);
  const node = join(prefix, "node");
  const refusal = 'case $1 in --*) echo "bad option: $1" >&2; exit 9 ;; esac';
  writeFileSync(node, `#!/bin/sh\n${refusal}\nexec "${process.execPath}" "$@"\n`);
  chmodSync(node, 0o755);
  writeFileSync(join(iniFile, "..", "howdah-env.sh"), `NODE=${node}\n`);
  const { code, stderr } = await call("start");
  assert.deepEqual([code, stderr], [0, ""]);
  assert.ok(!commandLine(pid()).some((one) => gc.includes(one)));
  assert.equal((await call("stop")).code, 0);
});
