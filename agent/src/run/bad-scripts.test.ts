import assert from "node:assert/strict";
import { type ChildProcess, spawnSync } from "node:child_process";
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { listProcesses, readProcess } from "../process-table.js";
import { acknowledged, startAgent } from "../testing/started-agent.js";
import { textOf, until } from "../testing/test-agent.js";
import { STDOUT, STRUCTURED, serveDispatcher, shellTask } from "../testing/test-dispatcher.js";

async function setUp(t: TestContext) {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  return { dispatcher, agent, session: await dispatcher.session() };
}

/** The most that a process ever had resident, in KiB. */
function peakKb({ pid }: ChildProcess): number {
  const [, kb] = /^VmHWM:\s*(\d+) kB$/m.exec(textOf(`/proc/${pid}/status`)) ?? [];
  assert.ok(kb, `no VmHWM of ${pid}`);
  return Number(kb);
}

test("a script that writes 1 GiB completes; head and tail are stored, and no more memory is taken", async (t) => {
  const { dispatcher, agent, session } = await setUp(t);
  dispatcher.script.result = { ...dispatcher.script.result, outputCap: 1n << 20n };
  dispatcher.cut();
  const before = dispatcher.sessions.length;
  await until(() => dispatcher.sessions.length > before, "a session with a small cap");
  assert.ok(session.over);
  const small = await dispatcher.session();
  const peakBefore = peakKb(agent.process());
  small.say(shellTask(1, "echo begins; head -c 1073741824 /dev/zero; echo; echo ends"));
  assert.equal((await dispatcher.ended(1)).event, TaskEvent.SUCCEEDED);
  await acknowledged(agent, 1);
  const text = dispatcher.stored(1, STDOUT);
  assert.ok(text.length <= 1 << 20);
  assert.ok(text.subarray(0, 7).equals(Buffer.from("begins\n")));
  assert.match(text.subarray(-20).toString(), /ends\n/);
  // The whole of it stays on the host until it is cleaned away.
  const file = join(agent.folders.data, "output-1.txt");
  assert.ok(statSync(file).size > 1 << 30);
  rmSync(file);
  const grown = peakKb(agent.process()) - peakBefore;
  assert.ok(grown < 60 * 1_024, `${grown} KiB more than before`);
});

test("scripts that write to each other's files, and to the agent's, lose no result and run once", async (t) => {
  const { dispatcher, agent, session } = await setUp(t);
  const { data, tmp } = agent.folders;
  const ran = join(tmp, "ran");
  const go = join(tmp, "go");
  // A background one, so that the next runs beside it.
  session.say(
    shellTask(
      1,
      `echo one >>${ran}; echo first; until [ -e ${go} ]; do sleep 0.05; done; echo last; exit 3`,
      {},
      { background: true },
    ),
  );
  await until(() => textOf(join(data, "output-1.txt")).includes("first"), "the first");
  session.say(
    shellTask(
      2,
      [
        `echo two >>${ran}`,
        `cd ${data}`,
        "echo intruder >output-1.txt",
        "rm -f errors-1.txt command-1.json",
        "echo '{\"exitcode\": 0}' >structured-out-1.json",
        "mkdir output-3.txt structured-out-3.json",
        "echo mine",
      ].join("; "),
    ),
  );
  await acknowledged(agent, 2);
  writeFileSync(go, "");
  assert.equal((await dispatcher.ended(1)).exitCode, 3);
  await acknowledged(agent, 1);
  // What took the name of its output is put aside.
  session.say(shellTask(3, `echo three >>${ran}; echo third`));
  await acknowledged(agent, 3);
  assert.equal(dispatcher.stored(3, STDOUT).toString(), "third\n");
  session.say(shellTask(4, `echo four >>${ran}`));
  await acknowledged(agent, 4);
  assert.deepEqual(readFileSync(ran, "utf8").split("\n").slice(0, -1), [
    "one",
    "two",
    "three",
    "four",
  ]);
  assert.equal(agent.errors(), "");
});

test("a script that lies in its structured output is told as it is, and decides nothing", async (t) => {
  const { dispatcher, agent, session } = await setUp(t);
  const lie = '{"exit_code": 0, "status": "COMPLETED", "taskId": 99}';
  session.say(
    shellTask(1, `echo '${lie}' >${join(agent.folders.data, "structured-out-1.json")}; exit 7`),
  );
  const { event, exitCode } = await dispatcher.ended(1);
  assert.deepEqual([event, exitCode], [TaskEvent.FAILED, 7]);
  await acknowledged(agent, 1);
  const told = dispatcher.stored(1, STRUCTURED).toString();
  if (told !== "") assert.equal(JSON.parse(told).taskId, 99);
  assert.equal(agent.entry(99), undefined);
});

/** Whether a process may become one without rights here, which must not be able to fork more than its limit. */
function mayLimit(): boolean {
  const args = ["--reuid=65534", "--regid=65534", "--clear-groups", "true"];
  return process.getuid?.() === 0 && spawnSync("setpriv", args).status === 0;
}

test("a script that starts 500 processes as another user, under a limit, is stopped with all of them", async (t) => {
  if (!mayLimit()) return t.skip("only root with setpriv can start processes as another user");
  const { dispatcher, agent, session } = await setUp(t);
  const { tmp, prefix } = agent.folders;
  chmodSync(prefix, 0o755);
  const ready = join(tmp, "ready");
  const mark = `86${process.pid}.5`;
  // What it cannot fork under its limit it complains of, and goes on.
  const fork = `ulimit -u 400; n=0; while [ $n -lt 500 ]; do (sleep ${mark} &) 2>/dev/null; n=$((n+1)); done; touch ${ready}; sleep ${mark}`;
  session.say(
    shellTask(1, `exec setpriv --reuid=65534 --regid=65534 --clear-groups /bin/sh -c '${fork}'`),
  );
  await until(() => existsSync(ready), "the processes");
  const count = () =>
    listProcesses().filter(
      ({ pid, name }) => name === "sleep" && textOf(`/proc/${pid}/cmdline`).includes(mark),
    ).length;
  t.after(() => {
    for (const { pid } of listProcesses()) {
      if (!textOf(`/proc/${pid}/cmdline`).includes(mark)) continue;
      if (readProcess(pid)?.name === "sleep") process.kill(pid, "SIGKILL");
    }
  });
  assert.ok(count() > 100, `${count()} processes`);
  // The agent is well meanwhile.
  session.say(shellTask(2, "true", {}, { background: true }));
  await acknowledged(agent, 2);
  session.say({
    case: "cancelCommand",
    value: { taskId: 1n, attempt: 1, reason: "too many" },
  });
  assert.equal((await dispatcher.ended(1)).event, TaskEvent.CANCELLED);
  await until(() => count() === 0, "the end of all");
  await acknowledged(agent, 1);
});
