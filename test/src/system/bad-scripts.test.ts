import assert from "node:assert/strict";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import { type Fleet, outputOf, over, pushStack, ran, root, startFleet, tasksOf } from "./fleet.js";

const stdout = 1;
const stderr = 2;
const structured = 3;

/** What each custom command of LEADER runs, as a shell script: the ways in which the scripts of a stack go wrong. */
const scripts: Readonly<Record<string, string>> = {
  FAILS: "echo half way; echo it broke >&2; exit 7",
  LOUD: "head -c 100000000 /dev/zero | tr '\\0' x; echo the end",
  BYTES: "printf '\\377\\376\\300 not UTF-8'",
  STUBBORN: "trap '' TERM; echo stays; while :; do sleep 0.1; done",
  LEAVES: 'setsid sleep 300 & echo $! >"$HOWDAH_PREFIX/left"; echo left',
  SCRAMBLED: 'printf \'{"half": \' >"$4"',
};

/** The TEST stack with these commands, one that is not there, and hooks that write down that they ran. */
function makeStack(dir: string): string {
  const stack = join(dir, "stacks", "TEST", "1.0");
  cpSync(join(root, "test", "stacks", "TEST", "1.0"), stack, { recursive: true });
  const service = join(stack, "services", "STORE");
  const command = (name: string) => `<customCommand>
    <name>${name}</name>
    <commandScript>
      <script>scripts/${name}.sh</script>
      <scriptType>SHELL</scriptType>
      <timeout>${name === "STUBBORN" ? 1 : 60}</timeout>
    </commandScript>
  </customCommand>`;
  for (const [name, text] of Object.entries(scripts)) {
    writeFileSync(join(service, "package", "scripts", `${name}.sh`), `#!/bin/sh\n${text}\n`, {
      mode: 0o755,
    });
  }
  const metainfo = join(service, "metainfo.xml");
  const commands = ["MISSING", ...Object.keys(scripts)].map(command).join("");
  writeFileSync(
    metainfo,
    readFileSync(metainfo, "utf8").replace("<customCommands>", `<customCommands>${commands}`),
  );
  for (const hook of ["before-START", "after-START"]) {
    const folder = join(stack, "hooks", hook, "scripts");
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      join(folder, "hook.py"),
      `import json, os, sys
with open(sys.argv[2]) as file:
    command = json.load(file)
with open(os.path.join(os.environ["HOWDAH_PREFIX"], "ran.log"), "a") as log:
    log.write(f"${hook} {command['role']} {command['taskId']}\\n")
`,
    );
  }
  return stack;
}

describe("scripts that go wrong, through the whole system", () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await startFleet({ agents: 1 });
    await pushStack(fleet, makeStack(fleet.dir));
    const components = ["LEADER", "WORKER"].map((name) => ({ name, hostNames: ["host1"] }));
    await fleet.fleet.applyCluster({
      name: "test",
      stack: "TEST/1.0",
      services: [{ name: "STORE", components }],
    });
  });
  after(() => fleet?.stop());

  /** Runs a custom command of LEADER to its end. */
  async function run(command: string) {
    const { request } = await fleet.requests.submitRequest({
      operation: {
        kind: {
          case: "customCommand",
          value: { cluster: "test", service: "STORE", component: "LEADER", command },
        },
      },
    });
    assert.ok(request);
    const ended = await over(fleet, request.requestId);
    const [task] = await tasksOf(fleet, request.requestId);
    assert.ok(task);
    return {
      status: Status[ended.status],
      task,
      output: (stream: 1 | 2 | 3) => outputOf(fleet, task.taskId, stream),
    };
  }

  it("a script that is missing fails its task, and its name is in the errors", async () => {
    const { status, output } = await run("MISSING");
    assert.equal(status, "FAILED");
    assert.match(await output(stderr), /MISSING\.sh/);
  });

  it("an exit code that is not 0 fails its task, with all that was said", async () => {
    const { status, task, output } = await run("FAILS");
    assert.equal(status, "FAILED");
    assert.equal(task.exitCode, 7);
    assert.match(await output(stdout), /^half way\n/);
    assert.match(await output(stderr), /^it broke\n/);
  });

  it("100 MB are kept with head and tail, and the command does not fail of it", async () => {
    const { status, output } = await run("LOUD");
    assert.equal(status, "COMPLETED");
    const text = await output(stdout);
    assert.ok(text.length <= 64 << 20, `${text.length} bytes`);
    assert.match(text.slice(-200), /the end\n/);
    assert.match(text, /\[howdah: \d+ bytes left out here/);
  });

  it("invalid UTF-8 comes back byte for byte", async () => {
    const { status, task } = await run("BYTES");
    assert.equal(status, "COMPLETED");
    const chunks: Uint8Array[] = [];
    for await (const { data } of fleet.store.readTaskOutput({ taskId: task.taskId })) {
      chunks.push(data);
    }
    assert.deepEqual([...Buffer.concat(chunks).subarray(0, 3)], [0xff, 0xfe, 0xc0]);
  });

  it("what ignores SIGTERM is killed at its time-out", async () => {
    const { status, task, output } = await run("STUBBORN");
    assert.equal(status, "TIMEDOUT");
    assert.equal(task.exitCode, 999);
    assert.match(await output(stderr), /killed due to timeout after waiting 1 secs/);
  });

  it("what a script leaves running holds nothing up, and goes on", async () => {
    const { status } = await run("LEAVES");
    assert.equal(status, "COMPLETED");
    const pid = Number(readFileSync(join(fleet.prefix("host1"), "left"), "utf8"));
    // Throws if there is no such process any more.
    process.kill(pid, "SIGKILL");
  });

  it("broken structured output is told as such, and fails nothing", async () => {
    const { status, output } = await run("SCRAMBLED");
    assert.equal(status, "COMPLETED");
    assert.match(await output(structured), /^\{"msg":"Unable to read structured output from /);
  });

  it("hooks run before and after the script of the command that they are named for", async () => {
    const { request } = await fleet.requests.submitRequest({
      operation: {
        kind: {
          case: "service",
          value: {
            cluster: "test",
            roleCommand: RoleCommand.START,
            components: ["LEADER"],
            skipServiceChecks: true,
            evenIfDone: true,
          },
        },
      },
    });
    assert.ok(request);
    assert.equal(Status[(await over(fleet, request.requestId)).status], "COMPLETED");
    const [task] = await tasksOf(fleet, request.requestId);
    assert.deepEqual(
      ran(fleet, "host1").filter((line) => line.endsWith(` ${task?.taskId}`)),
      ["before-START", "START", "after-START"].map((name) => `${name} LEADER ${task?.taskId}`),
    );
  });
});
