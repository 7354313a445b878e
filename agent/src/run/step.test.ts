import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { AgentFolders } from "../folders.js";
import { isAlive } from "../process-table.js";
import { silent, temporaryFolders, textOf, until } from "../testing/test-agent.js";
import { runStep, type Step, type StepContext } from "./step.js";
import { forbidStart, readStepState } from "./step-records.js";

for (const shell of ["/bin/dash", "/bin/bash", "/bin/busybox"]) describeWith(shell);

function describeWith(shell: string): void {
  const program = shell.endsWith("busybox") ? [shell, "sh"] : [shell];
  const missing = existsSync(shell) ? false : `${shell} is not installed`;
  describe(`supervisor.sh with ${shell}`, { skip: missing }, () => {
    let folders: AgentFolders;
    let remove: () => void;
    let record: string;
    const children: ChildProcess[] = [];
    beforeEach(() => {
      ({ folders, remove } = temporaryFolders());
      record = join(folders.steps, "1.script");
    });
    afterEach(async () => {
      for (const child of children.splice(0)) {
        if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      }
      remove();
    });

    function supervise(...argv: string[]): ChildProcess {
      const stderr = openSync(join(folders.data, "errors"), "a");
      const [file = "", ...first] = program;
      const child = spawn(file, [...first, folders.supervisor, record, ...argv], {
        stdio: ["ignore", "ignore", stderr],
        detached: true,
      });
      closeSync(stderr);
      children.push(child);
      return child;
    }

    async function exitOf(child: ChildProcess): Promise<number> {
      const [code] = await once(child, "exit");
      return code as number;
    }

    it("records who it is and how the command ended", async () => {
      const child = supervise("sh", "-c", "exit 7");
      assert.equal(await exitOf(child), 0);
      const state = readStepState(record);
      assert.equal(state.kind, "exited");
      assert.ok(state.kind === "exited" && state.exit.exitCode === 7);
      assert.equal(state.start.pid, child.pid);
      assert.deepEqual(readdirSync(folders.steps).sort(), ["1.script"]);
    });

    it("is found alive by its record while the command runs", async () => {
      supervise("sleep", "60");
      await until(() => readStepState(record).kind === "running", "the start record");
      const state = readStepState(record);
      assert.ok(state.kind === "running" && isAlive(state.start));
      process.kill(-state.start.pid, "SIGKILL");
      await until(() => readStepState(record).kind === "lost", "the loss to show");
    });

    it("runs a command once, however many are told to", async () => {
      const log = join(folders.data, "log");
      const codes = await Promise.all(
        Array.from({ length: 8 }, () =>
          exitOf(supervise("sh", "-c", `echo ran >> ${log}; sleep 0.2`)),
        ),
      );
      assert.equal(textOf(log), "ran\n");
      assert.deepEqual(codes.sort(), [0, 75, 75, 75, 75, 75, 75, 75]);
    });

    it("does not run a command whose start was taken", async () => {
      assert.equal(forbidStart(record), true);
      assert.equal(await exitOf(supervise("touch", join(folders.data, "ran"))), 75);
      assert.equal(readdirSync(folders.data).includes("ran"), false);
      assert.equal(forbidStart(record), false);
      assert.equal(readStepState(record).kind, "lost");
    });

    it("runs nothing when it can't make its records", async () => {
      rmSync(folders.steps, { recursive: true });
      assert.equal(await exitOf(supervise("touch", join(folders.data, "ran"))), 74);
      assert.match(textOf(join(folders.data, "errors")), /is the disk full\?/);
      assert.equal(readdirSync(folders.data).includes("ran"), false);
    });

    it("takes room for its last word before the command runs", async () => {
      const sizes = join(folders.data, "sizes");
      await exitOf(supervise("sh", "-c", `stat -c %s ${record} > ${sizes}; exit 200`));
      assert.equal(textOf(record).length, Number(textOf(sizes)));
    });

    it("outlives a signal to its group; the command does not, and inherits nothing ignored", async () => {
      const out = join(folders.data, "status");
      const line = `grep SigIgn /proc/self/status > ${out}; exec sleep 60`;
      const child = supervise("sh", "-c", line);
      await until(() => textOf(out).includes("\n"), "the command to run");
      assert.match(textOf(out), /SigIgn:\s0+\n/);
      await until(() => readStepState(record).kind === "running", "the start record");
      process.kill(-(child.pid ?? 0), "SIGTERM");
      await exitOf(child);
      const state = readStepState(record);
      assert.ok(state.kind === "exited" && state.exit.exitCode === 143);
      assert.equal(textOf(join(folders.data, "errors")), "");
    });
  });
}

describe("runStep()", () => {
  let folders: AgentFolders;
  let remove: () => void;
  let step: Step;
  let context: StepContext;
  beforeEach(() => {
    ({ folders, remove } = temporaryFolders());
    step = {
      record: join(folders.steps, "1.script"),
      argv: ["sh", "-c", `echo ran >> ${folders.data}/log; sleep 0.3; exit 4`],
      cwd: folders.prefix,
      environment: { PATH: process.env.PATH ?? "" },
      stdoutPath: join(folders.data, "out"),
      stderrPath: join(folders.data, "err"),
    };
    context = { supervisor: folders.supervisor, detach: new AbortController().signal, log: silent };
  });
  afterEach(() => remove());

  it("leaves a step running when it is detached, and takes it up again", async () => {
    const leave = new AbortController();
    const first = runStep(step, { ...context, detach: leave.signal });
    await until(() => textOf(`${folders.data}/log`), "the step to run");
    leave.abort(new Error("the agent stops"));
    await assert.rejects(first, /the agent stops/);
    const end = await runStep(step, context);
    assert.ok(end.kind === "exited" && end.exit.exitCode === 4);
    assert.equal(textOf(`${folders.data}/log`), "ran\n");
  });

  it("gives the same answer again without running again", async () => {
    await runStep(step, context);
    const end = await runStep(step, context);
    assert.equal(end.kind, "exited");
    assert.equal(textOf(`${folders.data}/log`), "ran\n");
  });

  it("takes a step whose supervisor was killed for lost, never runs it again", async () => {
    const running = runStep(step, context);
    const start = await until(() => {
      const state = readStepState(step.record);
      return state.kind === "running" && state.start;
    }, "the start record");
    process.kill(-start.pid, "SIGKILL");
    assert.equal((await running).kind, "lost");
    assert.equal((await runStep(step, context)).kind, "lost");
  });

  it("follows a supervisor of a former agent that comes first after all", async () => {
    const slow = join(folders.lib, "slow.sh");
    writeFileSync(slow, `sleep 0.4; exec sh ${folders.supervisor} "$@"`);
    const ours = runStep(step, { ...context, supervisor: slow });
    const theirs = spawn("sh", [folders.supervisor, step.record, "sh", "-c", "sleep 0.6; exit 9"], {
      stdio: "ignore",
      detached: true,
    });
    const end = await ours;
    assert.ok(end.kind === "exited" && end.exit.exitCode === 9);
    assert.equal(end.start.pid, theirs.pid);
    assert.equal(textOf(`${folders.data}/log`), "");
  });

  it("waits for a supervisor that has made its record, but not written it yet", async () => {
    const late = join(folders.lib, "late.sh");
    writeFileSync(late, `: > "$1"; sleep 0.4; rm "$1"; exec sh ${folders.supervisor} "$@"`);
    spawn("sh", [late, ...[step.record, "sh", "-c", "exit 9"]], {
      stdio: "ignore",
      detached: true,
    });
    await until(() => readStepState(step.record).kind === "running", "the empty record");
    const end = await runStep(step, context);
    assert.equal(end.kind, "exited");
  });

  it("takes a start record of another boot for lost, whoever has its pid now", async () => {
    writeFileSync(step.record, `${process.pid} 1 former-boot 1.00\n`);
    assert.equal((await runStep(step, context)).kind, "lost");
  });

  it("adds little to a command's own time", async () => {
    const times: number[] = [];
    const bare: number[] = [];
    for (let round = 0; round < 20; round++) {
      const began = performance.now();
      const record = `${step.record}${round}`;
      await runStep({ ...step, record, argv: ["true"] }, context);
      times.push(performance.now() - began);
      const bareBegan = performance.now();
      await once(spawn("true", [], { stdio: "ignore", detached: true }), "exit");
      bare.push(performance.now() - bareBegan);
    }
    const added = median(times) - median(bare);
    // Measured 4 ms on two cores; the bound only finds what is out of all proportion.
    assert.ok(added < 500, `${added} ms`);
  });
});

function median(numbers: number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;
}
