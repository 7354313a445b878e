import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { shippedScript } from "./run/install-supervisor.js";

const run = promisify(execFile);

/**
 * Runs a program of JavaScript in a process that has no file descriptor left, until it calls `free()`, and after `exhaust()`; the module is
 * imported as `tested`. Resolves with what it wrote; rejects when the process ended by an uncaught error.
 */
async function withoutDescriptors(module: string, program: string): Promise<string> {
  const text = `
    import childProcess from "node:child_process";
    import { appendFileSync, closeSync, openSync, readFileSync, writeSync } from "node:fs";
    import { syncBuiltinESMExports } from "node:module";
    import { setTimeout as sleep } from "node:timers/promises";
    import * as tested from "${new URL(module, import.meta.url)}";
    const say = (text) => writeSync(1, text + "\\n");
    const log = { warn() {}, info() {}, debug() {} };
    const held = [];
    const exhaust = () => {
      try {
        for (;;) held.push(openSync("/dev/null", "r"));
      } catch (error) {
        if (error.code !== "EMFILE") throw error;
      }
    };
    const free = () => held.splice(0).forEach((fd) => closeSync(fd));
    exhaust();
    ${program}
    await sleep(100); // that nothing is thrown later can only be waited for
    say("alive");`;
  const arguments_ = ["-c", 'ulimit -n 100; exec "$0" --input-type=module -e "$1"'];
  const { stdout } = await run("/bin/sh", [...arguments_, process.execPath, text]);
  return stdout;
}

test("no file descriptor left: a program that is asked gives no answer, and the agent lives", async () => {
  const said = await withoutDescriptors(
    "./host/bounded-run.js",
    `await tested.createBoundedRunner().run("true", [], 50).catch((error) => say(error.name + ": " + error.message));`,
  );
  assert.equal(said, "NoAnswerError: true cannot be run (EMFILE)\nalive\n");
});

test("no file descriptor left: a check is not made, with or without an input, and the agent lives", async () => {
  for (const input of ["undefined", '"text"']) {
    const said = await withoutDescriptors(
      "./status/run-check.js",
      `const check = { argv: ["true"], cwd: "/", environment: {}, tag: "HOWDAH_TASK=x", timeoutMs: 1000, input: ${input} };
       await tested.runCheck(check, new AbortController().signal, log).catch((error) => say(error.name + ": " + error.message));`,
    );
    assert.equal(said, "CheckNotMadeError: true cannot be run (EMFILE)\nalive\n", input);
  }
});

test("no file descriptor left once a check runs: it is made, and what it leaves is found by its tag", async () => {
  // The few that its start has given back are taken at once, as another thread may take them.
  const said = await withoutDescriptors(
    "./status/run-check.js",
    `free();
     const { spawn } = childProcess;
     childProcess.spawn = (...how) => {
       const child = spawn(...how);
       exhaust();
       return child;
     };
     syncBuiltinESMExports();
     const environment = { HOWDAH_TASK: "x" };
     const check = { argv: ["/bin/sh", "-c", "sleep 0.2; exit 3"], cwd: "/", environment, tag: "HOWDAH_TASK=x", timeoutMs: 60_000 };
     say(String((await tested.runCheck(check, new AbortController().signal, log)).exitCode));`,
  );
  assert.equal(said, "3\nalive\n");
});

/** What follows a step in a program: `step()` makes the promise of its end, `record` is its file. */
function stepIn(t: TestContext, line: string) {
  const place = mkdtempSync(join(tmpdir(), "howdah-step-"));
  t.after(() => rmSync(place, { recursive: true }));
  const record = join(place, "record");
  const step = {
    ...{ record, argv: ["/bin/sh", "-c", line], cwd: place, environment: {} },
    ...{ stdoutPath: join(place, "stdout"), stderrPath: join(place, "stderr") },
  };
  const context = `{ supervisor: ${JSON.stringify(shippedScript("supervisor.sh"))}, detach: new AbortController().signal, log }`;
  const program = `
    const record = ${JSON.stringify(record)};
    const step = () => tested.runStep(${JSON.stringify(step)}, ${context});
    const tell = ({ kind, exit, reason }) => say(kind + " " + (exit?.exitCode ?? reason));`;
  return { record, program };
}

test("no file descriptor left when a step's record is looked at: it is looked at again, whatever the step did", async (t) => {
  const { record, program } = stepIn(t, "true");
  writeFileSync(record, "1 2 boot 3.00\n4 5.00 end\n");
  const said = await withoutDescriptors(
    "./run/step.js",
    // Nothing shows that a look was in vain: the first is at once.
    `${program} const end = step(); setTimeout(free, 100); tell(await end);`,
  );
  assert.equal(said, "exited 4\nalive\n");
});

test("no file descriptor left when a step ends: its end is told once it can be read", async (t) => {
  const { program } = stepIn(t, "sleep 0.3; exit 3");
  const said = await withoutDescriptors(
    "./run/step.js",
    // Nor can the step's end be seen meanwhile: long enough for it and a look.
    `${program} free(); const end = step(); await sleep(0); exhaust(); setTimeout(free, 800); tell(await end);`,
  );
  assert.equal(said, "exited 3\nalive\n");
});

test("no file descriptor left while a former agent's step runs: the agent lives, and learns of its end", async (t) => {
  const { program } = stepIn(t, "true");
  const said = await withoutDescriptors(
    "./run/step.js",
    `${program} free();
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const start = readFileSync("/proc/self/stat", "utf8").split(") ")[1].split(" ")[19];
    appendFileSync(record, process.pid + " " + start + " " + boot + " 1.00\\n");
    const end = step();
    exhaust();
    await sleep(2_500); // longer than between two looks
    free();
    appendFileSync(record, "6 5.00 end\\n");
    tell(await end);`,
  );
  assert.equal(said, "exited 6\nalive\n");
});

test("no file descriptor left: the time since boot is known on", async () => {
  const said = await withoutDescriptors(
    "./process-table.js",
    `free(); const before = tested.uptimeMs(); exhaust(); await sleep(50);
    const passed = tested.uptimeMs() - before;
    say(String(passed >= 30 && passed < 10_000));`,
  );
  assert.equal(said, "true\nalive\n");
});
