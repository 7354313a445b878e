import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { AgentFolders } from "../folders.js";
import type { CommandResult } from "../journal/entry.js";
import { writeJournalFile } from "../journal/journal-file.js";
import { openJournal } from "../journal/open-journal.js";
import { scanJournal } from "../journal/record-lines.js";
import { bootId, hasEnvironment, listProcesses } from "../process-table.js";
import {
  asJsonCommand,
  shellCommand,
  silent,
  startTestAgent,
  temporaryFolders,
  testKey,
  textOf,
  until,
} from "../testing/test-agent.js";
import { testStore } from "../testing/test-store.js";
import type { CommandSpec } from "./command-spec.js";
import { dataFiles } from "./data-files.js";
import { openQueue } from "./queue.js";
import { readStepState } from "./step-records.js";

/** Each costs a second or two; `HOWDAH_TEST_SEEDS=200` looks harder. */
const seeds = Number(process.env.HOWDAH_TEST_SEEDS ?? 6);
const program = fileURLToPath(new URL("../testing/agent-process.js", import.meta.url));

describe("a killed agent", () => {
  let folders: AgentFolders;
  let remove: () => void;
  let scriptLog: string;
  let commandFile: string;
  let current: ChildProcess | undefined;
  beforeEach(() => {
    ({ folders, remove } = temporaryFolders());
    scriptLog = join(folders.tmp, "ran");
    commandFile = join(folders.tmp, "commands.json");
  });
  afterEach(async () => {
    if (current?.exitCode === null && current.signalCode === null) current.kill("SIGKILL");
    for (const { pid } of listProcesses()) {
      if (hasEnvironment(pid, `MARK=${folders.prefix}`)) process.kill(pid, "SIGKILL");
    }
    remove();
  });

  /** A package script with a hook before and one after; each notes that it ran. */
  function threeSteps(task: number, seconds: string, more: Partial<CommandSpec> = {}): CommandSpec {
    const note = (step: string) =>
      [
        "import os, sys, time",
        `fd = os.open(${JSON.stringify(scriptLog)}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)`,
        `os.write(fd, (os.environ['HOWDAH_TASK'] + ' ${step}\\n').encode())`,
        `time.sleep(${seconds})`,
      ].join("\n");
    const baseDir = join(folders.cache, "package");
    const hooksDir = join(folders.cache, "hooks");
    for (const [folder, file, step] of [
      [baseDir, "a.py", "script"],
      [join(hooksDir, "before-START"), "hook.py", "before"],
      [join(hooksDir, "after-START"), "hook.py", "after"],
    ] as const) {
      mkdirSync(join(folder, "scripts"), { recursive: true });
      writeFileSync(join(folder, "scripts", file), note(step));
    }
    const run = { scriptType: "PYTHON", script: "scripts/a.py", baseDir, hooksDir } as const;
    return shellCommand(testKey(task), "", {
      roleCommand: "START",
      run: { kind: "script", ...run },
      environment: { MARK: folders.prefix },
      ...more,
    });
  }

  function start(specs: CommandSpec[]): { process: ChildProcess; output: () => string } {
    writeFileSync(commandFile, JSON.stringify(specs));
    const child = spawn(process.execPath, [program, folders.prefix, commandFile], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    current = child;
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk;
    });
    return { process: child, output: () => text };
  }

  async function kill(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  /** Runs the rest in this process and returns the results. */
  async function finish(specs: CommandSpec[]): Promise<CommandResult[]> {
    const agent = await startTestAgent(folders);
    try {
      for (const spec of specs) await agent.queue.accept(spec.key, asJsonCommand(spec));
      await agent.queue.idle();
      return specs.map(({ key }) => agent.journal.entry(key)?.result).filter((r) => r != null);
    } finally {
      await agent.stop();
    }
  }

  function stepsThatRan(): string[] {
    return textOf(scriptLog).split("\n").filter(Boolean);
  }

  const expectedSteps = (tasks: number[]) =>
    tasks.flatMap((task) =>
      ["before", "script", "after"].map((step) => `${testStore}:${task}:1 ${step}`),
    );

  it("is succeeded by one that reports what ran meanwhile, while it runs and after it ended", async () => {
    const specs = [
      shellCommand(testKey(1), `echo once >> ${scriptLog}; sleep 0.6; echo end; exit 3`),
    ];
    const agent = start(specs);
    await until(() => textOf(scriptLog), "the command to run");
    await kill(agent.process);
    const [running] = await finish(specs);
    assert.deepEqual([running?.status, running?.exitCode], ["FAILED", 3]);
    assert.equal(textOf(dataFiles(folders, "1").stdout), "end\n");
    assert.equal(textOf(scriptLog), "once\n");
  });

  it("loses and repeats no step, whenever it is killed", { timeout: 240_000 }, async () => {
    for (let seed = 0; seed < seeds; seed++) {
      rmSync(scriptLog, { force: true });
      const tasks = [10 * seed + 1, 10 * seed + 2];
      const specs = tasks.map((task) => threeSteps(task, "0.02"));
      for (let kills = 0; kills < 3; kills++) {
        const agent = start(specs);
        // Spread over the time from before the journal is open to after the last step.
        await Promise.race([
          sleep(100 + ((seed * 37 + kills * 101) % 300)),
          once(agent.process, "exit"),
        ]);
        await kill(agent.process);
      }
      const results = await finish(specs);
      assert.deepEqual(
        results.map(({ status }) => status),
        ["COMPLETED", "COMPLETED"],
        `seed ${seed}`,
      );
      assert.deepEqual(stepsThatRan(), expectedSteps(tasks), `seed ${seed}`);
    }
  });

  it("loses and repeats no step, killed right after it spawned one", {
    timeout: 240_000,
  }, async () => {
    for (let seed = 0; seed < seeds; seed++) {
      rmSync(scriptLog, { force: true });
      const task = 1_000 + seed;
      const specs = [threeSteps(task, "0")];
      const record = join(
        folders.steps,
        `${testStore}.${task}.1`,
        `1.${["before-START", "script"][seed % 2]}.record`,
      );
      const agent = start(specs);
      // Found by looking, as fast as we can: spawned, and perhaps not recorded yet.
      const deadline = performance.now() + 10_000;
      while (performance.now() < deadline) {
        const spawned = readStepState(record).kind !== "none" || supervisorOf(record);
        if (spawned) break;
        await sleep(0);
      }
      await kill(agent.process);
      // At once: the old supervisor may still be on its way.
      const results = await finish(specs);
      assert.equal(results[0]?.status, "COMPLETED", `seed ${seed}`);
      assert.deepEqual(stepsThatRan(), expectedSteps([task]), `seed ${seed}`);
    }
  });

  function supervisorOf(record: string): boolean {
    for (const name of readdirSync("/proc")) {
      if (!/^[0-9]+$/.test(name)) continue;
      try {
        if (readFileSync(`/proc/${name}/cmdline`, "latin1").includes(record)) return true;
      } catch {
        // gone
      }
    }
    return false;
  }

  it("leaves a time-out counting", async () => {
    const line = `echo once >> ${scriptLog}; sleep 60`;
    const environment = { MARK: folders.prefix };
    const specs = [shellCommand(testKey(1), line, { timeoutMs: 6_000, environment })];
    const agent = start(specs);
    await until(() => textOf(scriptLog), "the command to run");
    const began = performance.now();
    await kill(agent.process);
    // No agent for most of that time: it is what has to be counted in.
    await sleep(4_500);
    const [result] = await finish(specs);
    const tookMs = performance.now() - began;
    assert.deepEqual([result?.status, result?.exitCode], ["TIMEDOUT", 999]);
    // Counted anew it would be 10,500.
    assert.ok(tookMs > 4_800 && tookMs < 10_400, `${tookMs} ms`);
  });

  it("is succeeded by one that can still cancel", async () => {
    const environment = { MARK: folders.prefix };
    const spec = shellCommand(testKey(1), `echo once >> ${scriptLog}; sleep 60`, { environment });
    const first = start([spec]);
    await until(() => textOf(scriptLog), "the command to run");
    await kill(first.process);
    const agent = await startTestAgent(folders);
    await agent.queue.cancel(spec.key, "enough");
    await agent.queue.idle();
    assert.equal(agent.journal.entry(spec.key)?.result?.status, "ABORTED");
    await agent.stop();
    assert.ok(!listProcesses().some(({ pid }) => hasEnvironment(pid, `MARK=${folders.prefix}`)));
  });

  it("is succeeded by one that finishes a cancel, and a time-out, half done", async () => {
    const environment = { MARK: folders.prefix };
    const told = `${scriptLog}.told`;
    const line = `trap 'echo told >> ${told}' TERM; echo once >> ${scriptLog}; while :; do sleep 1; done`;
    const cancelled = shellCommand(testKey(1), line, { environment, graceMs: 3_000 });
    const late = shellCommand(testKey(2), line, { environment, graceMs: 3_000, timeoutMs: 300 });
    for (const spec of [cancelled, late]) {
      for (const file of [scriptLog, told]) rmSync(file, { force: true });
      const first = await startTestAgent(folders);
      await first.queue.accept(spec.key, asJsonCommand(spec));
      await until(() => textOf(scriptLog), "the command to run");
      if (spec === cancelled) await first.queue.cancel(spec.key, "enough");
      await until(() => textOf(told), "its SIGTERM"); // its SIGKILL is not sent yet
      await first.stop();
      assert.equal(first.journal.entry(spec.key)?.state, "RUNNING");
      const [result] = await finish([spec]);
      assert.equal(result?.status, spec === cancelled ? "ABORTED" : "TIMEDOUT");
      assert.equal(textOf(scriptLog), "once\n");
      assert.ok(!listProcesses().some(({ pid }) => hasEnvironment(pid, `MARK=${folders.prefix}`)));
    }
  });

  it("has its result found, and its closing lines written once, when it died before it kept them", async () => {
    const baseDir = join(folders.prefix, "package");
    mkdirSync(baseDir);
    writeFileSync(join(baseDir, "fails.sh"), "echo out; exit 2\n");
    const run = {
      kind: "script",
      scriptType: "SHELL",
      script: "fails.sh",
      baseDir,
      hooksDir: null,
    };
    const spec = { ...shellCommand(testKey(1), ""), run } as CommandSpec;
    const journal = await openJournal(folders, silent);
    const broken = new Promise<Error>((resolve) => {
      const queue = openQueue({
        journal: { ...journal, ended: () => Promise.reject(new Error("died here")) },
        folders,
        log: silent,
        resolve: async ({ command }) => command as unknown as CommandSpec,
        onBroken: resolve,
      });
      void queue.accept(spec.key, asJsonCommand(spec));
    });
    assert.equal((await broken).message, "died here");
    await journal.close();
    const [result] = await finish([spec]);
    assert.deepEqual([result?.status, result?.exitCode], ["FAILED", 2]);
    const { stdout } = dataFiles(folders, "1");
    assert.equal(textOf(stdout), "out\n\n\nCommand failed after 1 tries\n");
  });

  it("reports INTERRUPTED, and stops the rest, when the supervisor died with it", async () => {
    const environment = { MARK: folders.prefix };
    const spec = shellCommand(testKey(1), `echo once >> ${scriptLog}; sleep 60`, { environment });
    const agent = start([spec]);
    await until(() => textOf(scriptLog), "the command to run");
    await kill(agent.process);
    const state = readStepState(join(folders.steps, `${testStore}.1.1`, "1.script.record"));
    assert.ok(state.kind === "running");
    process.kill(state.start.pid, "SIGKILL");
    const [result] = await finish([spec]);
    assert.deepEqual([result?.status, result?.started], ["INTERRUPTED", true]);
    assert.equal(textOf(scriptLog), "once\n");
    assert.ok(!listProcesses().some(({ pid }) => hasEnvironment(pid, `MARK=${folders.prefix}`)));
  });

  it("reports INTERRUPTED for what began in another boot, and never runs it", async () => {
    const spec = shellCommand(testKey(1), `echo once >> ${scriptLog}`);
    const journal = await openJournal(folders, silent);
    await journal.accept(spec.key, asJsonCommand(spec));
    await journal.started(spec.key);
    await journal.close();
    const path = join(folders.journal, "journal");
    rewriteBoot(path);
    const [result] = await finish([spec]);
    assert.equal(result?.status, "INTERRUPTED");
    assert.equal(textOf(scriptLog), "");
  });

  it("leaves a former attempt its output when the host goes down before the next one has any", async () => {
    const [first, second] = [1, 2].map((attempt) =>
      shellCommand(testKey(1, attempt), "echo the first"),
    ) as [CommandSpec, CommandSpec];
    await finish([first]);
    const journal = await openJournal(folders, silent);
    await journal.accept(second.key, asJsonCommand(second));
    await journal.started(second.key);
    await journal.close();
    rewriteBoot(join(folders.journal, "journal"));
    const [result] = await finish([second]);
    assert.equal(result?.status, "INTERRUPTED");
    assert.doesNotMatch(textOf(dataFiles(folders, "1").stdout), /the first/);
    assert.match(textOf(dataFiles(folders, "1", ".0").stdout), /^the first\n$/);
    assert.equal(result?.stdoutBytes, textOf(dataFiles(folders, "1").stdout).length);
  });

  it("leaves no room beside a live command that a lost journal forgot", async () => {
    const environment = { MARK: folders.prefix };
    const spec = shellCommand(testKey(1), `echo once >> ${scriptLog}; sleep 60`, { environment });
    const agent = start([spec]);
    await until(() => textOf(scriptLog), "the command to run");
    await kill(agent.process);
    rmSync(join(folders.journal, "journal"));
    const successor = await startTestAgent(folders);
    const next = shellCommand(testKey(1, 2), "true");
    assert.equal(await successor.queue.accept(next.key, asJsonCommand(next)), "attempt-alive");
    for (const { pid } of listProcesses()) {
      if (hasEnvironment(pid, `MARK=${folders.prefix}`)) process.kill(pid, "SIGKILL");
    }
    const state = () =>
      readStepState(join(folders.steps, `${testStore}.1.1`, "1.script.record")).kind;
    await until(() => state() !== "running", "the end of the old attempt");
    assert.equal((await successor.run(next)).result.status, "COMPLETED");
    await successor.stop();
  });
});

/** Makes the journal's start records those of another boot. */
function rewriteBoot(path: string): void {
  const text = JSON.stringify(scanJournal(readFileSync(path)).records.map(({ value }) => value));
  writeJournalFile(path, JSON.parse(text.replaceAll(bootId(), "a-former-boot")), 64 * 1024);
}
