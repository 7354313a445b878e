import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ScriptType } from "@howdah/proto/howdah/v1/command";
import { textOf, until } from "../testing/test-agent.js";
import { checkOf, packageDigest, testChecks } from "../testing/test-checks.js";

const nn = { clusterId: 7n, componentName: "NN" };

/** Starts as STOPPED; runs while the file is there. */
const byFile = '[ -e "$HERE/up" ]';

test("a script is run with STATUS as Ambari runs it, and no file of it is left", async (t) => {
  const { checks, connect, script, told, folders, documents } = testChecks(t);
  documents.set("c".repeat(64), { configurations: { "core-site": { a: "b" } } });
  connect();
  script(
    "NN",
    'cp "$2" "$HERE/command.json"; stat -c %a "$2" > "$HERE/mode"; pwd > "$HERE/cwd"\n' +
      'echo "$HOWDAH_TASK $HOWDAH_HOSTNAME" > "$HERE/env"; echo \'{"a":1}\' > "$4"\n' +
      'echo $# > "$HERE/argv"; for a in "$@"; do echo "$a"; done >> "$HERE/argv"',
  );
  checks.command([
    checkOf("NN", { hooksDigest: "b".repeat(64) }, { configurationsDigest: "c".repeat(64) }),
  ]);
  await until(() => told.length > 0, "a report");
  assert.deepEqual(told, [["NN STARTED"]]);

  const [count, name, command, baseDir, structured, level, tmp, protocol, ca] = textOf(
    join(folders.tmp, "argv"),
  ).split("\n");
  const uuid = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";
  assert.deepEqual([count, name], ["8", "STATUS"]);
  assert.match(command ?? "", new RegExp(`^${folders.data}/status_command_${uuid}[.]json$`));
  assert.match(
    structured ?? "",
    new RegExp(`^${folders.data}/status_structured-out-${uuid}[.]json$`),
  );
  assert.deepEqual([level, tmp, protocol, ca], ["INFO", folders.tmp, "PROTOCOL_TLSv1_2", ""]);
  assert.match(baseDir ?? "", /packages/);
  assert.equal(textOf(join(folders.tmp, "mode")), "600\n");
  assert.equal(textOf(join(folders.tmp, "cwd")), `${folders.prefix}\n`);
  assert.match(textOf(join(folders.tmp, "env")), new RegExp(`^status:${uuid} web-1\n$`));
  const json = JSON.parse(textOf(join(folders.tmp, "command.json")));
  assert.deepEqual(
    [json.commandType, json.role, json.serviceName, json.clusterId, json.clusterName],
    ["STATUS_COMMAND", "NN", "HDFS", "7", "c1"],
  );
  assert.equal(json.commandParams.script, "scripts/NN.sh");
  assert.deepEqual(json.configurations, { "core-site": { a: "b" } });
  assert.ok(!("taskId" in json) && !("requestId" in json));
  assert.deepEqual(statusFiles(folders.data), []);
});

test("exit code 0 means STARTED, any other INSTALLED; only what changed is told", async (t) => {
  const { checks, connect, script, told, warnings } = testChecks(t, { intervalMs: 100 });
  connect();
  script("NN", byFile);
  script("DN", 'echo . >> "$HERE/dn"; exit 3');
  script("UP", 'rm -f "$HERE/up"; [ -s "$HERE/dn" ] && touch "$HERE/up"; true');
  checks.command([checkOf("NN"), checkOf("DN")]);
  await until(() => told.flat().length === 2, "two states");
  assert.deepEqual(told.flat().sort(), ["DN INSTALLED", "NN INSTALLED"]);
  checks.command([checkOf("NN"), checkOf("DN"), checkOf("UP")]);
  await until(() => told.flat().includes("NN STARTED"), "the change");
  assert.deepEqual(told.flat().slice(2).sort(), ["NN STARTED", "UP STARTED"]);
  assert.deepEqual(warnings, []);
});

test("a new session is told everything, and what a recorded result may have overtaken again", async (t) => {
  const { checks, connect, script, told } = testChecks(t);
  script("NN", "exit 0");
  script("DN", "exit 1");
  checks.command([checkOf("NN"), checkOf("DN")]);
  connect();
  const both = ["DN INSTALLED", "NN STARTED"];
  await until(() => told.flat().length === 2, "both");
  checks.disconnected();
  connect();
  await until(() => told.flat().length === 4, "both again");
  assert.deepEqual(told.at(-1)?.sort(), both);
  checks.recorded(nn);
  await until(() => told.flat().length === 5, "what was overtaken");
  assert.deepEqual(told.at(-1), ["NN STARTED"]);
});

test("checks go on while there is no server, and the next session is told how things are now", async (t) => {
  const { checks, connect, script, told, folders } = testChecks(t, { intervalMs: 50 });
  const times = join(folders.tmp, "times");
  script("NN", `echo . >> "$HERE/times"; ${byFile}`);
  connect();
  checks.command([checkOf("NN")]);
  await until(() => told.length > 0, "the first state");
  checks.disconnected();
  writeFileSync(join(folders.tmp, "up"), "");
  const before = textOf(times).length;
  await until(() => textOf(times).length >= before + 3 * 2, "more checks");
  connect();
  await until(() => told.length > 1, "the state of now");
  assert.deepEqual(told, [["NN INSTALLED"], ["NN STARTED"]]);
});

test("components whose package has to wait for a server hold up no other", async (t) => {
  const { checks, connect, script, told, folders } = testChecks(t, {
    intervalMs: 50,
    packages: {
      folder: (digest, signal) =>
        digest === packageDigest
          ? Promise.resolve(join(folders.cache, "packages", packageDigest))
          : new Promise((_, reject) => {
              signal.addEventListener("abort", () => reject(signal.reason));
            }),
      document: () => Promise.reject(new Error("there is none")),
    },
  });
  connect();
  script("NN", 'echo . >> "$HERE/times"');
  const away = { packageDigest: "d".repeat(64) };
  checks.command([checkOf("A", away), checkOf("B", away), checkOf("C", away), checkOf("NN")]);
  await until(() => textOf(join(folders.tmp, "times")).length >= 3 * 2, "some checks");
  script("A", "exit 0");
  checks.command([checkOf("A"), checkOf("NN")]);
  await until(() => told.flat().length === 2, "both");
  assert.deepEqual(told.flat().sort(), ["A STARTED", "NN STARTED"]);
});

test("a script that hangs is ended whole, reports nothing, is named once and holds up nobody", async (t) => {
  const { checks, connect, script, told, warnings, folders } = testChecks(t, { intervalMs: 200 });
  connect();
  script(
    "HANGS",
    'echo . >> "$HERE/times"; setsid sleep 300 & echo $! >> "$HERE/pids"; echo $$ >> "$HERE/pids"; sleep 300',
  );
  script("NN", "exit 0");
  checks.command([checkOf("HANGS", { timeoutMs: 300n }), checkOf("NN")]);
  await until(() => told.length > 0, "the other's report");
  await until(() => textOf(join(folders.tmp, "times")).length >= 3 * 2, "three checks");
  assert.deepEqual(told, [["NN STARTED"]]);
  assert.deepEqual(
    warnings.map(({ component, reason }) => [component, reason]),
    [["HANGS", "it did not end within 0.3 s"]],
  );
  await checks.close();
  const pids = textOf(join(folders.tmp, "pids")).trim().split("\n");
  for (const pid of pids) assert.ok(!runs(pid), `${pid} still runs`);
  assert.deepEqual(statusFiles(folders.data), []);
});

test("a script that floods is ended, and nothing of it comes on the disk", async (t) => {
  const { checks, connect, script, told, warnings, folders } = testChecks(t);
  connect();
  script("NN", "exec yes");
  script("DN", "yes >&2");
  checks.command([checkOf("NN"), checkOf("DN")]);
  await until(() => warnings.length === 2, "two warnings");
  for (const { reason } of warnings) assert.equal(reason, "it wrote more than 16 MiB");
  await checks.close();
  assert.deepEqual(told, []);
  assert.deepEqual(statusFiles(folders.data), []);
});

test("what a script leaves behind in its process group is ended", async (t) => {
  const { checks, connect, script, told, folders } = testChecks(t);
  connect();
  script("NN", 'sleep 300 & echo $! > "$HERE/pid"; exit 0');
  checks.command([checkOf("NN")]);
  await until(() => told.length > 0, "a report");
  assert.deepEqual(told, [["NN STARTED"]]);
  assert.ok(!runs(textOf(join(folders.tmp, "pid")).trim()));
});

test("a check that cannot be made reports nothing and is named once for each reason", async (t) => {
  const here = testChecks(t, { intervalMs: 50, settings: { python: "/nowhere/python3" } });
  const { checks, connect, script, told, warnings, folders } = here;
  connect();
  script("NN", 'echo . >> "$HERE/times"; exit 0');
  checks.command([
    checkOf("PACKAGE", { packageDigest: "d".repeat(64) }),
    checkOf("PYTHON", { scriptType: ScriptType.PYTHON, script: "scripts/NN.sh" }),
    checkOf("SCRIPT"),
    checkOf("DOCUMENT", { script: "scripts/NN.sh" }, { topologyDigest: "e".repeat(64) }),
    checkOf("NOTHING", {}, { spec: undefined }),
    checkOf("NN"),
  ]);
  await until(() => textOf(join(folders.tmp, "times")).length > 5 * 2, "some passes");
  await until(() => warnings.length >= 5, "the warnings");
  const reasons = new Map(warnings.map(({ component, reason }) => [component, String(reason)]));
  assert.equal(warnings.length, 5);
  assert.match(reasons.get("PACKAGE") ?? "", /cannot give ddd/);
  assert.match(reasons.get("PYTHON") ?? "", /^\/nowhere\/python3 cannot be run \(ENOENT\)$/);
  assert.match(reasons.get("SCRIPT") ?? "", /SCRIPT.sh does not exist/);
  assert.match(reasons.get("DOCUMENT") ?? "", /cannot give eee/);
  assert.match(reasons.get("NOTHING") ?? "", /does not say what to run/);
  await until(() => told.length > 0, "the report of the one that can be made");
  assert.deepEqual(told.flat(), ["NN STARTED"]);
});

test("two scripts run at a time, whatever the number of components", async (t) => {
  const { checks, connect, script, told, folders } = testChecks(t);
  connect();
  const names = Array.from({ length: 8 }, (_, index) => `C${index}`);
  const wait = (name: string) => `until [ -e "$HERE/go-${name}" ]; do sleep 0.02; done`;
  for (const name of names) script(name, `echo ${name} >> "$HERE/log"; ${wait(name)}`);
  const begun = () => textOf(join(folders.tmp, "log")).split("\n").slice(0, -1);
  checks.command(names.map((name) => checkOf(name)));
  await until(() => begun().length >= 2, "two scripts");
  // A third would have been begun before these are, which run to their end.
  for (let later = 0; later < 10; later++) spawnSync("/bin/sh", ["-c", "exit 0"]);
  assert.equal(begun().length, 2);
  // However long they take: one more begins when one has ended.
  for (let ended = 0; ended < names.length; ended++) {
    const most = Math.min(ended + 2, names.length);
    await until(() => begun().length >= most, `script ${most}`);
    assert.equal(begun().length, most);
    writeFileSync(join(folders.tmp, `go-${begun()[ended]}`), "");
  }
  await until(() => told.flat().length === names.length, "all of them");
});

test("of one component never two scripts run, whoever asks how often", async (t) => {
  const { checks, connect, script, told, folders } = testChecks(t, { intervalMs: 20 });
  connect();
  script("NN", 'echo in >> "$HERE/log"; sleep 0.1; echo out >> "$HERE/log"');
  const lines = () => textOf(join(folders.tmp, "log")).trim().split("\n");
  checks.command([checkOf("NN")]);
  await until(() => {
    checks.checkAgain(nn);
    checks.command([checkOf("NN")]);
    return lines().length >= 8;
  }, "some checks");
  assert.deepEqual(lines().slice(0, 8), ["in", "out", "in", "out", "in", "out", "in", "out"]);
  await until(() => told.length > 0, "a report");
  assert.deepEqual(told, [["NN STARTED"]]);
});

test("a newer command takes the place of one that has not begun", async (t) => {
  const { checks, connect, script, told, folders } = testChecks(t);
  connect();
  for (const name of ["A", "B"]) {
    script(name, 'until [ -e "$HERE/go" ]; do sleep 0.02; done');
  }
  script("OLD", 'touch "$HERE/old"');
  script("NEWER", 'touch "$HERE/newer"');
  checks.command([
    checkOf("A"),
    checkOf("B"),
    checkOf("OLD"),
    checkOf("X", { script: "scripts/OLD.sh" }),
  ]);
  checks.command([checkOf("A"), checkOf("B"), checkOf("X", { script: "scripts/NEWER.sh" })]);
  writeFileSync(join(folders.tmp, "go"), "");
  await until(() => told.flat().length === 3, "the three");
  assert.deepEqual(told.flat().sort(), ["A STARTED", "B STARTED", "X STARTED"]);
  assert.deepEqual(
    readdirSync(folders.tmp).filter((name) => name === "old" || name === "newer"),
    ["newer"],
  );
});

test("a component is not checked while a command of it waits or runs, and again as soon as that ended", async (t) => {
  const { checks, connect, script, told, busy, folders } = testChecks(t, { intervalMs: 50 });
  connect();
  script("NN", 'echo . >> "$HERE/nn"');
  script("DN", 'echo . >> "$HERE/dn"');
  busy.add("NN");
  checks.command([checkOf("NN"), checkOf("DN")]);
  await until(() => textOf(join(folders.tmp, "dn")).length > 4 * 2, "some passes");
  assert.equal(textOf(join(folders.tmp, "nn")), "");
  checks.command([checkOf("NN")]);
  busy.delete("NN");
  checks.ended(nn);
  await until(() => told.flat().includes("NN STARTED"), "its status");
});

test("a check under way makes room for a command of its component, and its word does not count", async (t) => {
  const { checks, connect, script, told, busy, folders } = testChecks(t);
  connect();
  script("NN", 'echo $$ >> "$HERE/pids"; [ -e "$HERE/up" ] || exec sleep 300');
  checks.command([checkOf("NN")]);
  const pids = join(folders.tmp, "pids");
  const pid = await until(() => textOf(pids).trim(), "the check to run");
  busy.add("NN");
  const beganMs = performance.now();
  await checks.standAside(nn);
  assert.ok(performance.now() - beganMs < 5_000, "the command was kept waiting");
  assert.ok(!runs(pid), "the check still runs");
  assert.deepEqual(statusFiles(folders.data), []);
  checks.command([checkOf("NN")]);
  writeFileSync(join(folders.tmp, "up"), "");
  busy.delete("NN");
  checks.ended(nn);
  await until(() => told.length > 0, "a report");
  assert.deepEqual(told, [["NN STARTED"]]);
  assert.equal(textOf(pids).trim().split("\n").length, 2);
});

test("what a server names beyond reason is passed over, and with nothing to check no timer runs", async (t) => {
  const { checks, warnings } = testChecks(t);
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
  const before = timers();
  checks.command(
    Array.from({ length: 100_000 }, (_, index) => checkOf(`C${index}`, {}, { spec: undefined })),
  );
  await until(() => warnings.length >= 1_001, "the warnings");
  assert.match(String(warnings[0]?.msg), /named 100000 components to check: .* first 1000 /);
  checks.command([]);
  await until(() => timers() <= before, "no timer");
  assert.equal(warnings.length, 1_001);
});

function statusFiles(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.startsWith("status_"));
}

function runs(pid: string): boolean {
  const stat = textOf(`/proc/${pid}/stat`);
  return stat !== "" && !/[)] [ZX] /.test(stat);
}
