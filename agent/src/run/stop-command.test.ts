import assert from "node:assert/strict";
import { chmodSync, copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { AgentFolders } from "../folders.js";
import { hasEnvironment, listProcesses } from "../process-table.js";
import {
  asJsonCommand,
  shellCommand,
  startTestAgent,
  type TestAgent,
  temporaryFolders,
  testKey,
  textOf,
  until,
} from "../testing/test-agent.js";
import { dataFiles } from "./data-files.js";

describe("stopping a command", () => {
  let folders: AgentFolders;
  let remove: () => void;
  let agent: TestAgent;
  beforeEach(async () => {
    ({ folders, remove } = temporaryFolders());
    agent = await startTestAgent(folders);
  });
  afterEach(async () => {
    await agent.stop();
    remove();
  });

  const key = testKey(1);
  const stdout = () => textOf(dataFiles(folders, "1").stdout);
  const stderr = () => textOf(dataFiles(folders, "1").stderr);

  /** Processes of this test's command that run. */
  function alive(): string[] {
    return listProcesses()
      .filter(({ zombie, pid }) => !zombie && hasEnvironment(pid, `MARK=${folders.prefix}`))
      .map(({ name, pid }) => `${name} (${pid})`);
  }

  function marked(line: string, more: Parameters<typeof shellCommand>[2] = {}) {
    return shellCommand(key, line, { environment: { MARK: folders.prefix }, ...more });
  }

  async function cancelWhen(output: RegExp, spec: ReturnType<typeof marked>, reason = "enough") {
    await agent.queue.accept(key, asJsonCommand(spec));
    await until(() => output.test(stdout()), String(output));
    await agent.queue.cancel(key, reason);
    await agent.queue.idle();
    const result = agent.journal.entry(key)?.result;
    assert.ok(result);
    return result;
  }

  it("aborts on cancel, with the reason in the errors", async () => {
    const result = await cancelWhen(/ready/, marked("echo ready; sleep 60"));
    assert.deepEqual([result.status, result.exitCode, result.reason], ["ABORTED", 143, "enough"]);
    assert.equal(stdout(), "ready\n");
    assert.match(stderr(), /\nCommand aborted\. Reason: 'enough'$/);
    assert.deepEqual(alive(), []);
  });

  it("lets a script that exits with 0 after the cancel be COMPLETED", async () => {
    const line = "trap 'kill $!; exit 0' TERM; echo ready; sleep 60 & wait";
    const result = await cancelWhen(/ready/, marked(line));
    assert.equal(result.status, "COMPLETED");
  });

  it("aborts a script that traps the signal and exits with its own code", async () => {
    const line = "trap 'kill $!; exit 5' TERM; echo ready; sleep 60 & wait";
    const result = await cancelWhen(/ready/, marked(line));
    assert.deepEqual([result.status, result.exitCode], ["ABORTED", 5]);
  });

  it("kills what ignores SIGTERM after the grace", async () => {
    const line = "trap '' TERM; echo ready; while :; do sleep 1; done";
    const began = performance.now();
    const result = await cancelWhen(/ready/, marked(line, { graceMs: 300 }));
    assert.deepEqual([result.status, result.exitCode], ["ABORTED", 137]);
    assert.ok(performance.now() - began >= 300);
    assert.deepEqual(alive(), []);
  });

  it("stops what double-forked into a session of its own", async () => {
    const line = "(setsid sh -c 'trap \"\" TERM; echo ready; sleep 61' &) ; sleep 60";
    const result = await cancelWhen(/ready/, marked(line, { graceMs: 200 }));
    assert.equal(result.status, "ABORTED");
    assert.deepEqual(alive(), []);
  });

  it("stops what left its parent and hides its environment, but not its session", async () => {
    const line = "(env -i /bin/sh -c 'echo ready; /bin/sleep 62; :' &) ; sleep 60";
    await cancelWhen(/ready/, marked(line));
    const left = listProcesses().filter(({ pid }) => hasEnvironment(pid, "PWD=never"));
    assert.deepEqual(left, []);
    assert.deepEqual(alive(), []);
  });

  it("stops what is forked while it stops", async () => {
    const fork = "trap 'setsid sh -c \"trap : TERM; sleep 63; sleep 64\" & exit 1' TERM";
    const line = `${fork}; echo ready; while :; do sleep 0.05; done`;
    await cancelWhen(/ready/, marked(line, { graceMs: 300 }));
    assert.deepEqual(alive(), []);
  });

  it("stops at the time-out, with Ambari's code and words", async () => {
    const began = performance.now();
    const { result } = await agent.run(marked("echo ready; sleep 60", { timeoutMs: 1_000 }));
    assert.deepEqual([result.status, result.exitCode], ["TIMEDOUT", 999]);
    assert.match(stderr(), /\nCommand has been killed due to timeout after waiting 1 secs$/);
    assert.ok(performance.now() - began < 5_000);
    assert.deepEqual(alive(), []);
  });

  it("never kills a package manager or its children, but waits for them", async () => {
    const apt = join(folders.tmp, "apt-get");
    copyFileSync("/bin/sh", apt);
    chmodSync(apt, 0o755);
    const done = join(folders.tmp, "done");
    const line = `${apt} -c 'echo ready; sh -c "sleep 1; echo > ${done}"; :'; sleep 60`;
    const result = await cancelWhen(/ready/, marked(line, { graceMs: 100 }));
    assert.equal(result.status, "ABORTED");
    assert.ok(existsSync(done));
    assert.deepEqual(alive(), []);
  });

  it("waits for a package manager no longer than it is told, and says what goes on", async () => {
    const apt = join(folders.tmp, "yum");
    copyFileSync("/bin/sh", apt);
    chmodSync(apt, 0o755);
    const stop = join(folders.tmp, "stop");
    const line = `${apt} -c 'echo ready; until [ -e ${stop} ]; do sleep 0.05; done'; exit 1`;
    const result = await cancelWhen(/ready/, marked(line, { packageManagerWaitMs: 200 }));
    assert.equal(result.status, "ABORTED");
    assert.match(result.reason, /^enough; still running: .*yum \([0-9]+\)/);
    copyFileSync("/dev/null", stop);
    await until(() => alive().length === 0, "the end of the package manager");
  });

  it("aborts a queued command at once, without its files, and a cancelled one when it comes", async () => {
    const second = testKey(2);
    await agent.queue.accept(key, asJsonCommand(marked("echo ready; sleep 60")));
    await agent.queue.accept(second, asJsonCommand(shellCommand(second, "true")));
    await until(() => /ready/.test(stdout()), "the first to run");
    await agent.queue.cancel(second, "not needed");
    const result = agent.journal.entry(second)?.result;
    assert.deepEqual([result?.status, result?.started], ["ABORTED", false]);
    assert.ok(!existsSync(dataFiles(folders, "2").stdout));
    await agent.queue.cancel(testKey(3), "overtook");
    const late = shellCommand(testKey(3), "true");
    assert.equal(await agent.queue.accept(late.key, asJsonCommand(late)), "cancelled");
    await agent.queue.cancel(key, "");
    await agent.queue.idle();
    assert.match(stderr(), /\nCommand aborted\.$/);
  });

  it("does not start the next step of a cancelled command", async () => {
    const line = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    const result = await cancelWhen(/ready/, marked(line, { retryMs: 60_000 }));
    assert.equal(result.status, "COMPLETED");
  });

  it("ends the wait for a retry on cancel", async () => {
    const result = await cancelWhen(/ready/, marked("echo ready; exit 1", { retryMs: 600_000 }));
    assert.deepEqual([result.status, result.tries], ["ABORTED", 1]);
  });
});
