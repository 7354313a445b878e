import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { acknowledged, agentPrefix, startAgentWith } from "./testing/started-agent.js";
import { textOf, until } from "./testing/test-agent.js";
import { serveDispatcher, shellTask } from "./testing/test-dispatcher.js";

/** An agent's prefix, and its data folder, which is a file system of its own; undefined where that is not allowed. */
function mountedData(t: TestContext, address: string) {
  const data = mkdtempSync(join(tmpdir(), "howdah-data-"));
  const mount = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64m", "howdah-test", data]);
  t.after(() => {
    spawnSync("umount", ["-l", data]);
    rmSync(data, { recursive: true, force: true });
  });
  if (mount.status !== 0) return undefined;
  const made = agentPrefix(
    t,
    `[server]\naddress = ${address}\n[agent]\nhostname = h\nprefix = PREFIX\ndata_dir = ${data}\n`,
  );
  const remount = (how: "ro" | "rw") =>
    spawnSync("mount", ["-o", `remount,${how}`, data]).status === 0;
  return { ...made, data, remount };
}

const cannot = "only root can mount a file system";

test("a data folder that is read-only at a start: the agent says so and ends as one to be started again, and then goes on where it was", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const made = mountedData(t, dispatcher.address);
  if (made === undefined) return t.skip(cannot);
  const agent = startAgentWith(t, made.iniFile);
  const ran = join(made.prefix, "tmp", "ran");
  const go = join(made.prefix, "tmp", "go");
  (await dispatcher.session()).say(
    shellTask(1, `echo one >>${ran}; until [ -e ${go} ]; do sleep 0.05; done`),
  );
  await until(() => textOf(ran) === "one\n", "the command");
  // While anything is open for writing only the kernel itself makes a file system read-only, when its disk breaks.
  writeFileSync(go, "");
  await acknowledged(agent, 1);
  await agent.end("SIGTERM");
  if (!made.remount("ro")) return t.skip("the file system cannot be made read-only here");
  // Its disk may be mended, or a host started anew may be checking it still: keeper and systemd are to try again.
  agent.start();
  assert.equal(await agent.ended(), 1);
  assert.match(agent.errors(), /data\S* can't be made or written \(EROFS\)/);
  assert.doesNotMatch(agent.errors(), /\n.*\bat /);
  assert.ok(made.remount("rw"));
  agent.start();
  await until(() => dispatcher.sessions.length >= 2, "another session");
  const session = await dispatcher.session();
  session.say(shellTask(1, `echo again >>${ran}`));
  session.say(shellTask(2, `echo two >>${ran}`));
  await acknowledged(agent, 2);
  assert.equal(readFileSync(ran, "utf8"), "one\ntwo\n");
});

test("a data folder that is full while a command runs: it ends with its result, and new ones are refused with the reason", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const made = mountedData(t, dispatcher.address);
  if (made === undefined) return t.skip(cannot);
  const agent = startAgentWith(t, made.iniFile);
  const go = join(made.prefix, "tmp", "go");
  const session = await dispatcher.session();
  session.say(shellTask(1, `until [ -e ${go} ]; do sleep 0.05; done; exit 5`));
  await until(() => agent.entry(1)?.state === "RUNNING", "the command");
  spawnSync("dd", ["if=/dev/zero", `of=${join(made.data, "filler")}`, "bs=1M"]);
  writeFileSync(go, "");
  assert.equal((await dispatcher.ended(1)).exitCode, 5);
  await acknowledged(agent, 1);
  session.say(shellTask(2, "true"));
  const told = await until(
    () =>
      dispatcher.acks.find(({ taskId }) => taskId === 2n)?.reason ||
      dispatcher.reports.find(({ taskId, event }) => taskId === 2n && event === TaskEvent.FAILED)
        ?.reason,
    "the refusal",
  );
  assert.match(told, /room|full|ENOSPC/);
  spawnSync("rm", [join(made.data, "filler")]);
  session.say(shellTask(3, "true"));
  await acknowledged(agent, 3);
});

test("a journal whose last lines are half-written: what was promised before is kept, and told", async (t) => {
  const dispatcher = await serveDispatcher(t);
  dispatcher.script.holdAcks = true;
  const { iniFile, prefix } = agentPrefix(
    t,
    `[server]\naddress = ${dispatcher.address}\n[agent]\nhostname = h\nprefix = PREFIX\n`,
  );
  const agent = startAgentWith(t, iniFile);
  const ran = join(prefix, "tmp", "ran");
  (await dispatcher.session()).say(shellTask(1, `echo one >>${ran}; exit 4`));
  assert.equal((await dispatcher.ended(1)).exitCode, 4);
  await agent.end("SIGKILL");
  // As when the power goes in the middle of a write: half a line behind the last whole one, where zeros were.
  const journal = join(agent.folders.journal, "journal");
  const bytes = readFileSync(journal);
  const end = bytes.indexOf(0);
  Buffer.from('deadbeef {"half":').copy(bytes, end === -1 ? bytes.length - 20 : end);
  writeFileSync(journal, bytes);
  if (end === -1) appendFileSync(journal, 'deadbeef {"half":');
  dispatcher.script.holdAcks = false;
  const before = dispatcher.sessions.length;
  agent.start();
  await until(() => dispatcher.sessions.length > before, "another session");
  await acknowledged(agent, 1);
  const session = await dispatcher.session();
  session.say(shellTask(1, `echo again >>${ran}`));
  session.say(shellTask(2, `echo two >>${ran}`));
  await acknowledged(agent, 2);
  assert.equal(readFileSync(ran, "utf8"), "one\ntwo\n");
});
