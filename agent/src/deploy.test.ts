import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { agentPrefix } from "./testing/started-agent.js";

const here = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const control = here("agent/bin/howdah-agent");

function run(file: string, args: string[], env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = spawnSync(file, args, {
    ...{ encoding: "utf8", env: { ...process.env, ...env }, timeout: 60_000 },
  });
  return { status, stdout, stderr };
}

test("systemd accepts the unit, and would leave commands alone", (t) => {
  const unit = readFileSync(here("deploy/systemd/howdah-agent.service"), "utf8");
  for (const line of ["KillMode=process", "OOMPolicy=continue", "TasksMax=infinity"]) {
    assert.match(unit, new RegExp(`^${line}$`, "m"));
  }
  assert.match(unit, /^RestartPreventExitStatus=2\b/m);
  if (run("systemd-analyze", ["--version"]).status !== 0) {
    return t.skip("there is no systemd-analyze");
  }
  const { prefix } = agentPrefix(t, "");
  const file = join(prefix, "howdah-agent.service");
  const installed = "/var/lib/howdah-agent/bin/howdah-agent";
  assert.ok(unit.includes(`ExecStart=${installed} run`));
  writeFileSync(file, unit.replace(installed, control));
  const { status, stderr } = run("systemd-analyze", ["verify", file]);
  // Of other units of the machine it may say what it likes.
  const said = stderr.split("\n").filter((line) => line.includes("howdah-agent"));
  assert.deepEqual({ status, said }, { status: 0, said: [] });
});

test("the init script: what LSB asks for, passed on to the control script", (t) => {
  const script = here("deploy/init.d/howdah-agent");
  const header = /### BEGIN INIT INFO\n([\s\S]*?)### END INIT INFO/.exec(
    readFileSync(script, "utf8"),
  );
  for (const key of [
    "Provides",
    "Required-Start",
    "Required-Stop",
    "Default-Start",
    "Default-Stop",
  ]) {
    assert.match(header?.[1] ?? "", new RegExp(`^# ${key}: +\\S`, "m"));
  }
  const { iniFile } = agentPrefix(t, "[server]\naddress = 127.0.0.1:1\n[agent]\nprefix = PREFIX\n");
  const env = { HOWDAH_AGENT: control, HOWDAH_AGENT_CONFIG: iniFile };
  t.after(() => run(script, ["stop"], env));
  assert.equal(run(script, ["status"], env).status, 3);
  assert.equal(run(script, ["start"], env).status, 0);
  assert.equal(run(script, ["status"], env).status, 0);
  assert.equal(run(script, ["force-reload"], env).status, 0);
  assert.equal(run(script, ["stop"], env).status, 0);
  assert.equal(run(script, ["status"], env).status, 3);
  assert.equal(run(script, ["begin"], env).status, 2);
  const missing = { HOWDAH_AGENT: "/nowhere/howdah-agent" };
  assert.deepEqual(
    ["start", "stop", "status"].map((verb) => run(script, [verb], missing).status),
    [5, 0, 3],
  );
});
