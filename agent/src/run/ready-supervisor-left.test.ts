import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { AgentFolders } from "../folders.js";
import { readProcess, uptimeMs } from "../process-table.js";
import { temporaryFolders, textOf, until } from "../testing/test-agent.js";
import { waiters } from "../testing/waiting-supervisors.js";
import { readStepState } from "./step-records.js";

describe("what a ready supervisor's agent leaves behind", () => {
  let folders: AgentFolders;
  let remove: () => void;
  beforeEach(() => {
    ({ folders, remove } = temporaryFolders());
  });
  afterEach(() => remove());

  /** A process with one that waits, to be killed. On a line of its input it hands over `argv`, and says so. */
  async function startAgent(argv: readonly string[]) {
    const at = (name: string) => JSON.stringify(join(folders.data, name));
    const text = `
      import { writeFileSync } from "node:fs";
      import { createReadySupervisor } from ${JSON.stringify(new URL("./ready-supervisor.js", import.meta.url).href)};
      const ready = createReadySupervisor({
        supervisor: ${JSON.stringify(folders.supervisor)}, cwd: "/", environment: {} });
      const step = { record: ${at("record")}, argv: ${JSON.stringify(argv)}, cwd: "/",
        environment: {}, stdoutPath: ${at("out")}, stderrPath: ${at("err")} };
      for (const path of [step.stdoutPath, step.stderrPath]) writeFileSync(path, "");
      process.stdin.once("data", () => {
        const handed = ready.handOver(step) !== undefined;
        process.stdout.write(String(handed), () => process.kill(process.pid, "SIGKILL"));
      });
    `;
    const agent = spawn(process.execPath, ["--input-type=module", "-e", text], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const pid = await until(() => waiters(folders)[0], "a supervisor that waits");
    return { agent, pid };
  }

  it("is no supervisor that waits, when the agent is killed", async () => {
    const { agent, pid } = await startAgent(["true"]);
    agent.kill("SIGKILL");
    await until(() => readProcess(pid) === undefined, "it to end");
    assert.equal(existsSync(join(folders.data, "record")), false);
  });

  it("is a step that goes on, when it had been handed over", async () => {
    const go = join(folders.data, "go");
    const line = `until [ -e ${go} ]; do sleep 0.02; done; echo ran`;
    const { agent, pid } = await startAgent(["sh", "-c", line]);
    const killed = once(agent, "exit");
    agent.stdin.end("now\n");
    const [said] = await once(agent.stdout, "data");
    assert.equal(String(said), "true");
    await killed;
    writeFileSync(go, "");
    const record = join(folders.data, "record");
    await until(() => readStepState(record).kind === "exited", "the step to end");
    const state = readStepState(record);
    assert.ok(state.kind === "exited" && state.exit.exitCode === 0 && state.start.pid === pid);
    assert.equal(textOf(join(folders.data, "out")), "ran\n");
  });

  it("is found by the next one while it makes its record", async () => {
    const record = join(folders.steps, "1.script");
    const slow = join(folders.prefix, "supervisor.sh");
    writeFileSync(slow, `{ sleep 60; } >"${record}"`);
    const child = spawn("sh", [slow], { stdio: "ignore", detached: true });
    await until(() => existsSync(record), "the empty record");
    const state = readStepState(record);
    assert.ok(state.kind === "running" && state.start.pid === child.pid);
    assert.ok(Math.abs(state.start.uptimeMs - uptimeMs()) < 30_000);
    process.kill(-(child.pid ?? 0), "SIGKILL");
    await until(() => readStepState(record).kind === "lost", "the loss to show");
  });
});
