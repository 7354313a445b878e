import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * Runs a program of JavaScript in a process that has no file descriptor left, where `moduleUrl` is imported as `tested`. Resolves with
 * what it wrote; rejects when the process ended by an uncaught error.
 */
async function withoutDescriptors(module: string, program: string): Promise<string> {
  const text = `
    import { openSync, writeSync } from "node:fs";
    import { setTimeout as sleep } from "node:timers/promises";
    import * as tested from "${new URL(module, import.meta.url)}";
    const say = (text) => writeSync(1, text + "\\n");
    const log = { warn() {}, info() {}, debug() {} };
    await sleep(1);
    try {
      for (;;) openSync("/dev/null", "r");
    } catch (error) {
      if (error.code !== "EMFILE") throw error;
    }
    ${program}
    await sleep(100);
    say("alive");`;
  const arguments_ = ["-c", 'ulimit -n 100; exec "$0" --input-type=module -e "$1"'];
  const { stdout } = await run("/bin/sh", [...arguments_, process.execPath, text]);
  return stdout;
}

test("no file descriptor left: a program that is asked gives no answer, and the agent lives", async () => {
  const said = await withoutDescriptors(
    "./bounded-run.js",
    `await tested.createBoundedRunner().run("true", [], 50).catch((error) => say(error.name + ": " + error.message));`,
  );
  assert.equal(said, "NoAnswerError: true cannot be run (EMFILE)\nalive\n");
});

test("no file descriptor left: a check is not made, with or without an input, and the agent lives", async () => {
  for (const input of ["undefined", '"text"']) {
    const said = await withoutDescriptors(
      "../status/run-check.js",
      `const check = { argv: ["true"], cwd: "/", environment: {}, tag: "HOWDAH_TASK=x", timeoutMs: 1000, input: ${input} };
       await tested.runCheck(check, new AbortController().signal, log).catch((error) => say(error.name + ": " + error.message));`,
    );
    assert.equal(said, "CheckNotMadeError: true cannot be run (EMFILE)\nalive\n", input);
  }
});
