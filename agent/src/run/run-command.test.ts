import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { AgentFolders } from "../folders.js";
import {
  shellCommand,
  startTestAgent,
  type TestAgent,
  temporaryFolders,
  testKey,
  textOf,
} from "../testing/test-agent.js";
import { testStore } from "../testing/test-store.js";
import type { CommandSpec, ScriptRun } from "./command-spec.js";
import { dataFiles } from "./data-files.js";
import { readStructuredOutput } from "./structured-output.js";

describe("runCommand()", () => {
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

  /** Writes scripts into a package and hooks into a folder; returns what a command needs to run them. */
  function packageWith(scripts: Record<string, string>, type: ScriptRun["scriptType"] = "PYTHON") {
    const baseDir = join(folders.cache, "package");
    const hooksDir = join(folders.cache, "hooks");
    for (const [name, text] of Object.entries(scripts)) {
      const path = name.includes("/")
        ? join(hooksDir, name.split("/")[0] ?? "", "scripts", "hook.py")
        : join(baseDir, "scripts", name);
      mkdirSync(join(path, ".."), { recursive: true });
      writeFileSync(path, text);
      chmodSync(path, 0o755);
    }
    const script = Object.keys(scripts).find((name) => !name.includes("/")) ?? "missing.py";
    const run: ScriptRun = {
      kind: "script",
      scriptType: type,
      script: `scripts/${script}`,
      baseDir,
      hooksDir,
    };
    return run;
  }

  function scriptCommand(run: ScriptRun, more: Partial<CommandSpec> = {}): CommandSpec {
    const command = { role: "NAMENODE", roleCommand: "START", serviceName: "HDFS", run };
    return shellCommand(testKey(7), "", { ...command, ...more });
  }

  it("completes a command that exits with 0, and counts what it wrote", async () => {
    const { result } = await agent.run(shellCommand(testKey(1), "echo out; echo err >&2"));
    const files = dataFiles(folders, "1");
    assert.equal(result.status, "COMPLETED");
    assert.equal(result.exitCode, 0);
    assert.equal(textOf(files.stdout), "out\n", "an operator's own output is left as it is");
    assert.equal(textOf(files.stderr), "err\n");
    assert.equal(result.stdoutBytes, statSync(files.stdout).size);
    assert.equal(result.stderrBytes, 4);
    assert.ok(result.endedAtMs >= result.startedAtMs && result.started);
  });

  it("fails a command with its exit code, or 128 + n for signal n", async () => {
    const failed = await agent.run(shellCommand(testKey(1), "exit 7"));
    assert.deepEqual([failed.result.status, failed.result.exitCode], ["FAILED", 7]);
    assert.equal(textOf(dataFiles(folders, "1").stdout), "");
    const killed = await agent.run(shellCommand(testKey(2), "kill -9 $$"));
    assert.deepEqual([killed.result.status, killed.result.exitCode], ["FAILED", 137]);
    assert.equal(textOf(dataFiles(folders, "2").stderr), "");
  });

  it("fails a command whose script is missing, in Ambari's words", async () => {
    const run = packageWith({});
    const { result } = await agent.run(scriptCommand(run));
    const path = join(run.baseDir, "scripts/missing.py");
    assert.deepEqual([result.status, result.exitCode, result.started], ["FAILED", 1, false]);
    assert.equal(result.reason, `Script ${path} does not exist`);
    assert.equal(textOf(dataFiles(folders, "7").stderr), `Script ${path} does not exist\n`);
  });

  it("refuses a script outside its package", async () => {
    const run = { ...packageWith({ "a.py": "" }), script: "../../outside.py" };
    const { result } = await agent.run(scriptCommand(run));
    assert.match(result.reason, /is not below/);
  });

  it("runs a program as it is given, never a shell's builtin, and says when it is not there", async () => {
    const argv = (...argv: string[]) => ({ run: { kind: "argv" as const, argv } });
    const echo = await agent.run(
      shellCommand(testKey(1), "", argv("printf", "%s|", "a b", "$HOME", "*")),
    );
    assert.equal(echo.result.status, "COMPLETED");
    assert.match(textOf(dataFiles(folders, "1").stdout), /^a b\|\$HOME\|\*\|/);
    const builtin = await agent.run(shellCommand(testKey(2), "", argv("exit", "3")));
    assert.equal(builtin.result.exitCode, 127);
    assert.match(textOf(dataFiles(folders, "2").stderr), /exit: not found/);
  });

  it("gives scripts Ambari's arguments, a private command file, /dev/null and the task's tag", async () => {
    const script = [
      "import json, os, sys",
      "print(json.dumps([sys.argv[1:], os.environ['HOWDAH_TASK'], sys.stdin.read(), os.getcwd()]))",
    ].join("\n");
    const run = packageWith({ "namenode.py": script });
    const commandJson = { role: "NAMENODE", configurations: { "core-site": { a: "b" } } };
    const { result } = await agent.run(scriptCommand(run, { commandJson }));
    const files = dataFiles(folders, "7");
    assert.equal(result.status, "COMPLETED", textOf(files.stderr));
    const [argv, tag, stdin, cwd] = JSON.parse(textOf(files.stdout).split("\n")[0] ?? "");
    const { tmp } = folders;
    const tail = ["INFO", tmp, "PROTOCOL_TLSv1_2", ""];
    assert.deepEqual(argv, ["START", files.command, run.baseDir, files.structuredOut, ...tail]);
    assert.deepEqual([tag, stdin, cwd], [`${testStore}:7:1`, "", folders.prefix]);
    assert.match(textOf(files.stdout), /\n\n\nCommand completed successfully!\n$/);
    assert.deepEqual(JSON.parse(readFileSync(files.command, "utf8")), commandJson);
    assert.equal(statSync(files.command).mode & 0o777, 0o600);
  });

  it("names a custom command by its parameter, and runs shell and executable scripts alike", async () => {
    const custom = { roleCommand: "CUSTOM_COMMAND", commandParams: { custom_command: "REFRESH" } };
    const shell = packageWith({ "refresh.sh": "echo $1" }, "SHELL");
    await agent.run(scriptCommand(shell, custom));
    assert.match(textOf(dataFiles(folders, "7").stdout), /^REFRESH\n/);
    const program = packageWith({ "run.sh": "#!/bin/sh\necho $1 $5" }, "EXECUTABLE");
    await agent.run(scriptCommand(program, { ...custom, key: testKey(8) }));
    assert.match(textOf(dataFiles(folders, "8").stdout), /^REFRESH INFO\n/);
  });

  it("runs the hooks from the general to the particular and back, with their own folder", async () => {
    const hook = "import os, sys; print(os.path.basename(sys.argv[3]), sys.argv[1])";
    const names = ["before-START", "before-START-HDFS", "before-START-HDFS-NAMENODE"];
    const afters = names.map((name) => name.replace("before", "after"));
    const scripts = Object.fromEntries([...names, ...afters].map((name) => [`${name}/`, hook]));
    const run = packageWith({ "namenode.py": "print('script')", ...scripts });
    await agent.run(scriptCommand(run));
    const lines = textOf(dataFiles(folders, "7").stdout).split("\n\n")[0]?.trim().split("\n");
    assert.deepEqual(lines, [
      ...names.map((name) => `${name} START`),
      "script",
      ...afters.toReversed().map((name) => `${name} START`),
    ]);
  });

  it("fails with the first step that fails, and runs none behind it", async () => {
    const run = packageWith({ "namenode.py": "print('script')", "before-START/": "exit(3)" });
    const { result } = await agent.run(scriptCommand(run));
    assert.equal(result.exitCode, 3);
    assert.doesNotMatch(textOf(dataFiles(folders, "7").stdout), /script/);
  });

  it("keeps 100 MB of output and every invalid byte of it", async () => {
    const line = "head -c 100000000 /dev/zero | tr '\\0' 'x'; printf '\\377\\376\\n'";
    const { result } = await agent.run(shellCommand(testKey(1), line));
    assert.equal(result.status, "COMPLETED");
    assert.equal(result.stdoutBytes, 100_000_003);
    const { stdout } = dataFiles(folders, "1");
    assert.equal(statSync(stdout).size, result.stdoutBytes);
    assert.ok(
      readFileSync(stdout)
        .subarray(100_000_000)
        .includes(Buffer.of(0xff, 0xfe, 0x0a)),
    );
  });

  it("reports structured output, and says so when it can't be read or is too large", async () => {
    const write = (text: string) => `import sys; open(sys.argv[4], 'w').write(${text})`;
    const cases: [string, RegExp][] = [
      ['\'{"version": "3.1"}\'', /^{"version":"3.1"}$/],
      ["'{broken'", /^{"msg":"Unable to read structured output from .*structured-out-7.json"}$/],
      ["'\"' + 'x' * 70000 + '\"'", /larger than 65536 bytes/],
    ];
    for (const [index, [text, expected]] of cases.entries()) {
      const run = packageWith({ "namenode.py": write(text) });
      const key = testKey(7, index + 1);
      const { result } = await agent.run(scriptCommand(run, { key }));
      assert.equal(result.status, "COMPLETED");
      const reported = readStructuredOutput(dataFiles(folders, "7").structuredOut);
      assert.match(reported, expected);
      assert.equal(result.structuredOutBytes, Buffer.byteLength(reported));
    }
    assert.equal(readStructuredOutput(join(folders.data, "none.json")), "{}");
  });

  it("renames a former attempt's files and says in the journal where they are", async () => {
    await agent.run(shellCommand(testKey(1, 1), "echo first"));
    await agent.run(shellCommand(testKey(1, 2), "echo second"));
    await agent.run(shellCommand(testKey(1, 3), "echo third"));
    for (const [attempt, text] of [
      [1, "first"],
      [2, "second"],
      [3, "third"],
    ] as const) {
      const suffix = agent.journal.entry(testKey(1, attempt))?.fileSuffix;
      assert.match(textOf(dataFiles(folders, "1", suffix).stdout), new RegExp(`^${text}\n`));
    }
    assert.deepEqual(
      readdirSync(folders.data).filter((name) => name.startsWith("output-1.txt")).length,
      3,
    );
  });

  it("tries again in place after 2 s, then as long as is left, and tells the scripts", async () => {
    const script = "import json, sys; print(json.load(open(sys.argv[2]))); exit(1)";
    const run = packageWith({ "namenode.py": script });
    const began = performance.now();
    const { result } = await agent.run(scriptCommand(run, { retryMs: 3_000, commandJson: {} }));
    const tookMs = performance.now() - began;
    assert.deepEqual([result.status, result.exitCode, result.tries], ["FAILED", 1, 3]);
    assert.ok(tookMs >= 2_990 && tookMs < 8_000, `${tookMs} ms`);
    const output = textOf(dataFiles(folders, "7").stdout);
    assert.equal(output.match(/commandBeingRetried/g)?.length, 2);
    assert.match(output, /Command failed after 3 tries\n$/);
  });

  it("does not hand on the agent's secrets", async () => {
    process.env.AMBARI_PASSPHRASE = "secret";
    try {
      await agent.run(shellCommand(testKey(1), "env"));
    } finally {
      delete process.env.AMBARI_PASSPHRASE;
    }
    assert.doesNotMatch(textOf(dataFiles(folders, "1").stdout), /secret/);
  });

  it("turns a command that can't be made ready into a failure", async () => {
    await agent.stop();
    agent = await startTestAgent(folders, {
      resolve: async () => {
        throw new Error("Command requires configs with timestamp=2");
      },
    });
    const { result } = await agent.run(shellCommand(testKey(1), "true"));
    assert.deepEqual([result.status, result.exitCode], ["FAILED", 1]);
    assert.match(textOf(dataFiles(folders, "1").stderr), /timestamp=2/);
  });
});
