import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { until } from "../system/fleet.js";
import { type CompatFleet, hosts, type ScriptRun } from "./compat-fleet.js";
import { master, partOf, realpathOf, runOf, stepsOf } from "./script-runs.js";

const { START, CONFIGURE } = RoleCommand;

/** How commands run: retries in place, custom commands, structured output, background, custom actions. */
export function howCommandsRun(compat: () => CompatFleet): void {
  it("tries again in place as cluster-env says, for the commands that it names", async () => {
    const fleet = compat();
    fleet.behave("host1", `${master}-CONFIGURE`, { fail_times: 2, out: "configuring" });
    const { status, tasks } = await fleet.operate(CONFIGURE, [master]);
    const [task] = tasks;
    assert.equal(status, "COMPLETED");
    assert.equal(task?.attempt, 1);
    const runs = fleet.runs("host1", task?.taskId);
    assert.deepEqual(
      runs.map((run) => partOf(run, "agentLevelParams").commandBeingRetried),
      [undefined, "true", "true"],
    );
    const params = partOf(runs[0] as ScriptRun, "commandParams");
    assert.deepEqual(
      [params.command_retry_enabled, params.max_duration_for_retries],
      ["true", "3"],
    );
    const text = await fleet.output(task, 1);
    assert.equal(text.match(/configuring/g)?.length, 3, "what each try wrote");
    assert.equal(text.match(/Retrying command execution/g)?.length, 2);
    fleet.behave("host1", `${master}-START`, { exit: 5 });
    const once = await fleet.operate(START, [master]);
    fleet.behave("host1", `${master}-START`, {});
    assert.equal(once.tasks[0]?.exitCode, 5);
    assert.match(await fleet.output(once.tasks[0], 1), /Command failed after 1 tries\n$/);
  });

  it("runs custom commands with their own script, time-out, hooks and parameters", async () => {
    const fleet = compat();
    const { status, tasks } = await fleet.custom("REFRESH", { depth: "3" });
    assert.equal(status, "COMPLETED");
    const [task] = tasks;
    const runs = fleet.runs("host1", task?.taskId);
    assert.deepEqual(stepsOf(runs), ["before-REFRESH", "refresh.py"]);
    const run = runOf(fleet, "host1", task?.taskId);
    assert.deepEqual([run.argv[0], run.command.roleCommand], ["REFRESH", "CUSTOM_COMMAND"]);
    const { custom_command, script, command_timeout, depth } = partOf(run, "commandParams");
    assert.deepEqual(
      [custom_command, script, command_timeout, depth],
      ["REFRESH", "scripts/refresh.py", "30", "3"],
    );
    const restart = await fleet.custom("RESTART");
    assert.equal(runOf(fleet, "host1", restart.tasks[0]?.taskId).argv[0], "RESTART");
  });

  it("reports structured output: none, rubbish, too much", async () => {
    const fleet = compat();
    const cases: [string | undefined, RegExp][] = [
      [undefined, /^$/],
      ['{"a": [1]}', /^{"a":\[1\]}$/],
      ["{rubbish", /^{"msg":"Unable to read structured output from .*structured-out-\d+\.json"}$/],
      [`"${"x".repeat(70_000)}"`, /^{"msg":"Structured output in .* is larger than 65536 bytes"}$/],
    ];
    for (const [structured, expected] of cases) {
      fleet.behave("host1", `${master}-REFRESH`, structured === undefined ? {} : { structured });
      const { status, tasks } = await fleet.custom("REFRESH");
      assert.equal(status, "COMPLETED");
      assert.match(await fleet.output(tasks[0], 3), expected);
    }
    fleet.behave("host1", `${master}-REFRESH`, {});
  });

  it("runs a background command beside the others, for as long as it takes", async () => {
    const fleet = compat();
    const go = join(fleet.dir, "go");
    fleet.behave("host1", `${master}-BALANCE`, { wait_for: go, out: "balancing" });
    const background = fleet.custom("BALANCE");
    const running = await until("BALANCE to run", () =>
      fleet.runs("host1").find(({ argv }) => argv[0] === "BALANCE"),
    );
    assert.equal(running.command.commandType, "BACKGROUND_EXECUTION_COMMAND");
    assert.equal(partOf(running, "commandParams").command_timeout, "604800");
    assert.equal((await fleet.operate(START, [master])).status, "COMPLETED");
    writeFileSync(go, "");
    assert.equal((await background).status, "COMPLETED");
  });

  it("runs custom actions on hosts, or for a cluster with its configurations and hooks", async () => {
    const fleet = compat();
    const names = hosts.join(",");
    const ran = await fleet.howdah("action", "look", "--hosts", names, "--param", "where=here");
    assert.equal(ran.code, 0, ran.stderr);
    for (const host of hosts) {
      const run = fleet.runs(host).findLast(({ command }) => command.role === "look");
      assert.ok(run);
      const { command } = run;
      assert.deepEqual(
        [command.roleCommand, command.clusterId, command.serviceName, run.argv[0]],
        ["ACTIONEXECUTE", "null", "null", "ACTIONEXECUTE"],
      );
      const { script, where, command_timeout } = partOf(run, "commandParams");
      assert.deepEqual([script, where, command_timeout], ["look.py", "here", "1200"]);
      assert.equal(command.configurations, undefined);
      assert.ok(partOf(run, "agentLevelParams"));
      assert.deepEqual(stepsOf(fleet.runs(host, BigInt(Number(command.taskId)))), ["look.py"]);
      const folder = join(fleet.prefix(host), "cache", "custom_actions");
      assert.equal(realpathOf(folder), run.argv[2]);
    }
    const component = ["--cluster", "compat", "--component", master];
    const inCluster = await fleet.howdah("action", "look", ...component);
    assert.equal(inCluster.code, 0, inCluster.stderr);
    const run = fleet.runs("host1").findLast(({ command }) => command.role === "look");
    assert.ok(run);
    assert.deepEqual(stepsOf(fleet.runs("host1", BigInt(Number(run.command.taskId)))), [
      ...["before-ACTIONEXECUTE", "look.py"],
    ]);
    assert.equal(run.command.serviceName, "COMPAT");
    assert.ok(partOf(run, "configurations")["compat-env"]);
    const shell = await fleet.howdah("action", "tidy", "--hosts", "host2");
    assert.equal(shell.code, 0, shell.stderr);
    const none = await fleet.howdah("action", "dance", "--hosts", "host2");
    assert.equal(none.code, 4);
    assert.match(none.stderr, /no stack has a custom action dance; there are look, tidy/);
  });
}
