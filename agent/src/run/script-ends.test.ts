import assert from "node:assert/strict";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Logger, pino } from "pino";
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
import type { CommandSpec, ScriptSettings } from "./command-spec.js";
import { dataFiles } from "./data-files.js";

/** An agent that runs one shell script as a stack's, and what it wrote. */
async function agentOf(t: TestContext, settings: ScriptSettings = {}, log: Logger = silent) {
  const { folders, remove } = temporaryFolders();
  const agent = await startTestAgent(folders, { settings, log });
  t.after(async () => {
    await agent.stop();
    remove();
  });
  const baseDir = join(folders.cache, "package");
  mkdirSync(join(baseDir, "scripts"), { recursive: true });
  let last = 0;
  return async (script: string, more: Partial<CommandSpec> = {}) => {
    writeFileSync(join(baseDir, "scripts", "a.sh"), script);
    last += 1;
    const run = { scriptType: "SHELL" as const, script: "scripts/a.sh", baseDir, hooksDir: null };
    const { result } = await agent.run(
      shellCommand(testKey(last), "", { run: { kind: "script", ...run }, ...more }),
    );
    const files = dataFiles(folders, String(last));
    return { result, files, stdout: textOf(files.stdout), stderr: textOf(files.stderr) };
  };
}

test("a script that a signal ended has the exit code -n, and is not tried again after TERM or KILL", async (t) => {
  const run = await agentOf(t);
  const killed = await run("kill -9 $$", { retryMs: 600_000 });
  assert.deepEqual(
    [killed.result.status, killed.result.exitCode, killed.result.tries],
    ["FAILED", -9, 1],
  );
  const terminated = await run("kill -15 $$", { retryMs: 600_000 });
  assert.deepEqual([terminated.result.exitCode, terminated.result.tries], [-15, 1]);
  const broken = await run("kill -11 $$");
  assert.equal(broken.result.exitCode, -11);
  assert.equal((await run("exit 200")).result.exitCode, 200);
});

test("the output says that a command is tried again", async (t) => {
  const run = await agentOf(t);
  const { stdout, result } = await run("echo try; exit 1", { retryMs: 2_000 });
  assert.equal(result.tries, 2);
  assert.equal(
    stdout,
    "try\n\n\nCommand failed. Retrying command execution ...\n\ntry\n\n\nCommand failed after 2 tries\n",
  );
});

test("an agent that takes up the wait for the next try says so no second time, and waits no longer", async (t) => {
  const { folders, remove } = temporaryFolders();
  t.after(remove);
  const baseDir = join(folders.cache, "package");
  mkdirSync(join(baseDir, "scripts"), { recursive: true });
  writeFileSync(join(baseDir, "scripts", "a.sh"), "echo try; exit 1");
  const run = { scriptType: "SHELL" as const, script: "scripts/a.sh", baseDir, hooksDir: null };
  const spec = shellCommand(testKey(1), "", {
    ...{ run: { kind: "script", ...run }, retryMs: 3_000 },
  });
  const { stdout } = dataFiles(folders, "1");
  for (const notes of [1, 2]) {
    const agent = await startTestAgent(folders);
    await agent.queue.accept(spec.key, asJsonCommand(spec));
    await until(
      () => (textOf(stdout).match(/Retrying/g) ?? []).length === notes,
      `${notes} notes of a further try`,
    );
    await agent.stop();
  }
  const last = await startTestAgent(folders);
  t.after(() => last.stop());
  await last.queue.idle();
  assert.equal(last.journal.entry(spec.key)?.result?.tries, 3);
  const note = "\n\nCommand failed. Retrying command execution ...\n\n";
  assert.equal(textOf(stdout), `try\n${note}try\n${note}try\n\n\nCommand failed after 3 tries\n`);
});

for (const [commandFiles, afterSuccess, afterFailure] of [
  ["keep", true, true],
  ["remove", false, false],
  ["remove_on_success", false, true],
] as const) {
  test(`command files: ${commandFiles}`, async (t) => {
    const run = await agentOf(t, { commandFiles });
    const good = await run('test -s "$2"');
    assert.equal(good.result.status, "COMPLETED");
    assert.equal(existsSync(good.files.command), afterSuccess);
    const bad = await run("exit 1");
    assert.equal(existsSync(bad.files.command), afterFailure);
  });
}

test("what commands wrote goes to the agent's log when it shall, save what says otherwise", async (t) => {
  const lines: string[] = [];
  const log = pino({ level: "info" }, { write: (line: string) => lines.push(line) });
  const run = await agentOf(t, { logOutput: true }, log);
  await run("echo told; echo error >&2");
  await run("echo secret", { commandParams: { log_output: "false" } });
  const text = lines.join("");
  assert.match(text, /"stream":"stdout","output":"told\\n/);
  assert.match(text, /"stream":"stderr","output":"error\\n/);
  assert.doesNotMatch(text, /secret/);
  const quiet = await agentOf(t, {}, log);
  await quiet("echo nothing");
  assert.doesNotMatch(lines.join(""), /nothing/);
});

test("scripts are told protocol, certificates and -o as the settings say", async (t) => {
  const settings = { protocol: "PROTOCOL_TLS", caCertPath: "/ca.pem", logOutFiles: true };
  const run = await agentOf(t, settings);
  const { stdout } = await run('echo "$7 $8 $9"');
  assert.match(stdout, /^PROTOCOL_TLS \/ca.pem -o\n/);
});
