import assert from "node:assert/strict";
import { existsSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { findProcesses } from "@howdah/launcher/find-processes";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import { pushStack, root, tasksOf, until } from "../system/fleet.js";
import { type CompatFleet, hosts, type ScriptRun, startCompatFleet } from "./compat-fleet.js";

const { INSTALL, START, CONFIGURE, SERVICE_CHECK } = RoleCommand;
const master = "COMPAT_MASTER";

/** The hook, or the script's name, of each run. */
function stepsOf(runs: readonly ScriptRun[]): string[] {
  return runs.map(({ script }) => {
    const hook = /([^/]+)\/scripts\/hook\.py$/.exec(script)?.[1];
    return hook ?? script.replace(/^.*\//, "");
  });
}

/** One of the objects of a command file. */
function partOf({ command }: ScriptRun, key: string): Record<string, unknown> {
  const part = command[key];
  assert.ok(typeof part === "object" && part !== null, `${key} is ${JSON.stringify(part)}`);
  return part as Record<string, unknown>;
}

// In the order of an operator's day: what is started was installed before.
describe("the stack COMPAT, run by real services and agents", () => {
  let fleet: CompatFleet;
  before(async () => {
    fleet = await startCompatFleet();
  });
  after(() => fleet?.stop());

  /** The one run of a script, besides hooks, for a task. */
  function runOf(host: string, task: bigint | undefined): ScriptRun {
    const runs = fleet.runs(host, task).filter(({ script }) => !script.endsWith("hook.py"));
    assert.equal(runs.length, 1, `${runs.length} runs of task ${task} on ${host}`);
    return runs[0] as ScriptRun;
  }

  it("installs: packages for this system, hooks before and after, which share structured output", async () => {
    fleet.behave("host1", `${master}-INSTALL`, { structured: '{"version": "1.2.3-4"}' });
    const { status, tasks } = await fleet.operate(INSTALL, []);
    assert.equal(status, "COMPLETED");
    const task = tasks.find(({ role }) => role === master);
    const runs = fleet.runs("host1", task?.taskId);
    assert.deepEqual(stepsOf(runs), ["before-INSTALL", "compat.py", "after-INSTALL"]);
    assert.deepEqual(
      runs.map(({ structured }) => structured),
      [null, null, '{"version": "1.2.3-4"}'],
    );
    const params = partOf(runOf("host1", task?.taskId), "commandParams");
    assert.deepEqual(JSON.parse(String(params.package_list)), [
      { name: `compat_\${stack_version}`, condition: "", skipUpgrade: false },
    ]);
    assert.equal(await fleet.output(task, 3), '{"version":"1.2.3-4"}');
    assert.match(await fleet.output(task, 1), /\n\n\nCommand completed successfully!\n$/);
  });

  it("gives scripts their arguments, environment, folder and nothing else", async () => {
    const { status, tasks } = await fleet.operate(START, ["COMPAT_SLAVE"]);
    assert.equal(status, "COMPLETED");
    const taskOn = (host: string) => tasks.find(({ hostName }) => hostName === host)?.taskId;
    const [one, two] = hosts.map((host) => runOf(host, taskOn(host)));
    assert.ok(one && two);
    const prefix = fleet.prefix("host1");
    const id = taskOn("host1");
    const base = one.argv[2] ?? "";
    assert.deepEqual(one.argv, [
      ...["START", join(prefix, "data", `command-${id}.json`), base],
      ...[join(prefix, "data", `structured-out-${id}.json`), "INFO", join(prefix, "tmp")],
      ...["PROTOCOL_TLSv1_2", ""],
    ]);
    assert.match(base, /\/cache\/packages\/[0-9a-f]{64}$/);
    assert.equal(one.script, join(base, "scripts", "compat.py"));
    const told = ["DEBUG", join(fleet.prefix("host2"), "tmp"), "PROTOCOL_TLS"];
    assert.deepEqual(two.argv.slice(4), [...told, "/etc/ssl/compat.pem", "-o"]);
    assert.deepEqual([one.cwd, one.stdin, one.mode], [prefix, "", "0o600"]);
    assert.equal(realpathSync(one.interpreter), realpathSync("/usr/bin/python3"));
    // Input, output, errors, and the folder that the script itself has open to look.
    assert.deepEqual(one.descriptors.slice(0, 3), [0, 1, 2]);
    assert.ok(one.descriptors.length <= 4, String(one.descriptors));
    assert.notEqual(one.session[2], process.pid, "a session of its own");
    assert.equal(one.session[1], one.session[2], "in which its group is the first");

    const { environment } = one;
    assert.equal(environment.PATH?.split(":")[0], join(prefix, "bin"));
    const library = join(root, "test", "compat", "lib");
    assert.equal(environment.PYTHONPATH, `${join(prefix, "lib")}:${library}`);
    assert.equal(environment.AMBARI_AGENT_CONF_DIR, join(prefix, "conf"));
    assert.equal(environment.AMBARI_AGENT_LOG_DIR, join(prefix, "log"));
    assert.equal(environment.AMBARI_PID_DIR, join(prefix, "run"));
    assert.equal(environment.CONFIG_FILE, join(prefix, "conf", "howdah-agent.ini"));
    assert.equal(environment.PYTHON, "/usr/bin/python3");
    assert.match(environment.HOWDAH_TASK ?? "", new RegExp(`:${id}:1$`));
    assert.equal(environment.COMPAT_GREETING, undefined);
    assert.equal(two.environment.COMPAT_GREETING, "good morning");
  });

  it("gives scripts every key of their command file", async () => {
    const { tasks } = await fleet.operate(START, [master]);
    const [task] = tasks;
    const run = runOf("host1", task?.taskId);
    const { command } = run;
    const header = ["commandType", "clusterName", "role", "roleCommand", "serviceName"];
    assert.deepEqual(
      header.map((key) => command[key]),
      ["EXECUTION_COMMAND", "compat", master, "START", "COMPAT"],
    );
    assert.equal(command.taskId, Number(task?.taskId));
    assert.equal(command.requestId, Number(task?.requestId));
    assert.equal(command.commandId, `${task?.requestId}-0`);
    assert.match(String(command.clusterId), /^[1-9]\d*$/);
    assert.deepEqual(command.roleParams, { component_category: "MASTER" });
    const folder = "stacks/COMPAT/1.0/services/COMPAT/package";
    assert.deepEqual(command.commandParams, {
      ...{ script: "scripts/compat.py", script_type: "PYTHON", command_timeout: "60" },
      service_package_folder: folder,
    });
    const { "compat-env": values, "cluster-env": cluster } = partOf(run, "configurations");
    assert.deepEqual(values, {
      ...{ compat_user: "compat", secret: "s3cret", fixed: "yes", greeting: "hello" },
    });
    assert.equal((cluster as Record<string, string>).java_home, "/usr/lib/jvm/default");
    assert.deepEqual(command.configurationAttributes, {
      "compat-env": { final: { fixed: "true" } },
    });
    assert.deepEqual(command.clusterHostInfo, {
      ...{ all_hosts: hosts, all_racks: ["/default-rack", "/default-rack"] },
      ...{ all_ipv4_ips: partOf(run, "clusterHostInfo").all_ipv4_ips },
      ...{ compat_master_hosts: ["host1"], compat_slave_hosts: hosts, compat_client_hosts: hosts },
      ...{ shell_one_hosts: hosts, program_one_hosts: hosts },
      ...{ base_one_hosts: ["host1"], plugin_one_hosts: ["host1"] },
    });
    const level = partOf(run, "clusterLevelParams");
    assert.deepEqual(
      [level.cluster_name, level.stack_name, level.stack_version, level.hooks_folder],
      ["compat", "COMPAT", "1.0", "stack-hooks"],
    );
    assert.deepEqual(
      [level.user_list, level.group_list, level.user_groups],
      ['["compat"]', '["compatgroup"]', '{"compat":["compatgroup"]}'],
    );
    const service = partOf(run, "serviceLevelParams");
    assert.deepEqual(
      [service.version, service.service_package_folder, service.credentialStoreEnabled],
      ["1.2.3", folder, false],
    );
    assert.deepEqual(command.componentLevelParams, {
      ...{ clientsToUpdateConfigs: '["*"]', unlimited_key_jce_required: "false" },
    });
    assert.equal(partOf(run, "ambariLevelParams").java_home, "/usr/lib/jvm/default");
    const agent = partOf(run, "agentLevelParams");
    assert.deepEqual(
      [agent.hostname, agent.agentCacheDir],
      ["host1", join(fleet.prefix("host1"), "cache")],
    );
    assert.deepEqual(agent.agentConfigParams, {
      agent: { parallel_execution: 0, use_system_proxy_settings: true },
    });
    assert.ok(partOf(run, "hostLevelParams"));
    const repositories = partOf(run, "repositoryFile");
    assert.deepEqual([repositories.stackName, repositories.repositories], ["COMPAT", []]);
    assert.deepEqual([...(command.localComponents as string[])].sort(), [
      ...["BASE_ONE", "COMPAT_CLIENT", "COMPAT_MASTER", "COMPAT_SLAVE"],
      ...["PLUGIN_ONE", "PROGRAM_ONE", "SHELL_ONE"],
    ]);
    assert.deepEqual(command.componentVersionMap, {});
    assert.equal(command.osPackages, undefined);
  });

  it("runs hooks from the general to the particular and back, each with its own folder", async () => {
    const { tasks } = await fleet.operate(START, [master]);
    const runs = fleet.runs("host1", tasks[0]?.taskId);
    const before = ["before-START", "before-START-COMPAT", "before-START-COMPAT-COMPAT_MASTER"];
    const after = before.map((name) => name.replace("before", "after")).toReversed();
    assert.deepEqual(stepsOf(runs), [...before, "compat.py", ...after]);
    for (const { script, argv } of runs) {
      assert.equal(join(argv[2] ?? "", "scripts"), script.replace(/\/[^/]+$/, ""));
      assert.equal(argv[0], "START");
    }
    fleet.behave("host1", "before-START-COMPAT", { exit: 7 });
    const failed = await fleet.operate(START, [master]);
    fleet.behave("host1", "before-START-COMPAT", {});
    assert.equal(failed.status, "FAILED");
    const [task] = failed.tasks;
    assert.equal(task?.exitCode, 7);
    assert.deepEqual(stepsOf(fleet.runs("host1", task?.taskId)), before.slice(0, 2));
    assert.match(await fleet.output(task, 1), /\n\nCommand failed after 1 tries\n$/);
    fleet.behave("host1", "after-START", { exit: 8 });
    const late = await fleet.operate(START, [master]);
    fleet.behave("host1", "after-START", {});
    assert.deepEqual([late.status, late.tasks[0]?.exitCode], ["FAILED", 8]);
  });

  it("runs shell scripts and programs with the same arguments", async () => {
    const { status, tasks } = await fleet.operate(START, ["SHELL_ONE", "PROGRAM_ONE"], ["host1"]);
    assert.equal(status, "COMPLETED");
    const shell = await fleet.output(
      tasks.find(({ role }) => role === "SHELL_ONE"),
      1,
    );
    const lines = shell.split("\n").filter((line) => line.startsWith("<"));
    assert.equal(lines[0], "<START>");
    assert.match(lines[1] ?? "", /^<\/.*\/command-\d+\.json>$/);
    assert.deepEqual(lines.slice(6), ["<PROTOCOL_TLSv1_2>", "<>"], "eight in all");
    const program = tasks.find(({ role }) => role === "PROGRAM_ONE");
    assert.match(await fleet.output(program, 1), /^program <START>\n/m);
  });

  it("runs scripts of common services and of extensions, found where Ambari has them", async () => {
    const { status, tasks } = await fleet.operate(START, ["BASE_ONE", "PLUGIN_ONE"]);
    assert.equal(status, "COMPLETED");
    for (const [role, folder] of [
      ["BASE_ONE", "common-services/BASE/1.0/package"],
      ["PLUGIN_ONE", "extensions/EXT/1.0/services/PLUGIN/package"],
    ] as const) {
      const run = runOf("host1", tasks.find((task) => task.role === role)?.taskId);
      assert.equal(partOf(run, "serviceLevelParams").service_package_folder, folder);
      const link = join(fleet.prefix("host1"), "cache", folder);
      assert.equal(realpathOf(link), run.argv[2]);
    }
    const hooks = join(fleet.prefix("host1"), "cache", "stack-hooks");
    assert.ok(existsSync(join(hooks, "before-START", "scripts", "hook.py")));
  });

  it("tries again in place as cluster-env says, for the commands that it names", async () => {
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
    const { status, tasks } = await fleet.custom("REFRESH", { depth: "3" });
    assert.equal(status, "COMPLETED");
    const [task] = tasks;
    const runs = fleet.runs("host1", task?.taskId);
    assert.deepEqual(stepsOf(runs), ["before-REFRESH", "refresh.py"]);
    const run = runOf("host1", task?.taskId);
    assert.deepEqual([run.argv[0], run.command.roleCommand], ["REFRESH", "CUSTOM_COMMAND"]);
    const { custom_command, script, command_timeout, depth } = partOf(run, "commandParams");
    assert.deepEqual(
      [custom_command, script, command_timeout, depth],
      ["REFRESH", "scripts/refresh.py", "30", "3"],
    );
    const restart = await fleet.custom("RESTART");
    assert.equal(runOf("host1", restart.tasks[0]?.taskId).argv[0], "RESTART");
  });

  it("reports structured output: none, rubbish, too much", async () => {
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

  it("takes exit code 0 of STATUS for started, any other for not, and runs no hooks for it", async () => {
    const shows = (state: ComponentState) =>
      until(`COMPAT_SLAVE on host1 to be ${ComponentState[state]}`, async () => {
        const { hostComponents } = await fleet.fleet.listHostComponents({});
        return hostComponents.some(
          ({ componentName, hostName, currentState }) =>
            componentName === "COMPAT_SLAVE" && hostName === "host1" && currentState === state,
        );
      });
    await shows(ComponentState.STARTED);
    for (const exit of [1, 3, 255]) {
      fleet.behave("host1", "COMPAT_SLAVE-STATUS", { exit });
      await shows(ComponentState.INSTALLED);
      fleet.behave("host1", "COMPAT_SLAVE-STATUS", {});
      await shows(ComponentState.STARTED);
    }
    const checks = fleet.runs("host1").filter(({ argv }) => argv[0] === "STATUS");
    assert.ok(!stepsOf(checks).includes("before-STATUS"));
    const check = checks.find(({ command }) => command.role === "COMPAT_SLAVE");
    assert.ok(check);
    assert.equal(check.command.taskId, undefined);
    assert.match(check.argv[1] ?? "", /status_command_[0-9a-f-]{36}\.json$/);
    assert.match(check.argv[3] ?? "", /status_structured-out-[0-9a-f-]{36}\.json$/);
  });

  it("runs the service check on one host with its own time-out", async () => {
    const { request } = await fleet.requests.submitRequest({
      operation: {
        kind: {
          case: "service",
          value: { cluster: "compat", roleCommand: SERVICE_CHECK, services: ["COMPAT"] },
        },
      },
    });
    const { status, tasks } = await fleet.ended(request?.requestId ?? 0n);
    assert.deepEqual([status, tasks.length], ["COMPLETED", 1]);
    const run = runOf(tasks[0]?.hostName ?? "", tasks[0]?.taskId);
    assert.deepEqual([run.argv[0], run.command.role], ["SERVICE_CHECK", "COMPAT_SERVICE_CHECK"]);
    assert.equal(partOf(run, "commandParams").command_timeout, "120");
  });

  it("cancels with all that a script started, in Ambari's words", async () => {
    const daemon = ["sleep", "98765"];
    const never = join(fleet.dir, "never");
    fleet.behave("host1", `${master}-START`, { wait_for: never, spawn: daemon, out: "waiting" });
    const sleepers = () => findProcesses((args) => args[0] === "sleep" && args[1] === "98765");
    const value = { cluster: "compat", roleCommand: START, components: [master], evenIfDone: true };
    const { request } = await fleet.requests.submitRequest({
      operation: { kind: { case: "service", value: { ...value, skipServiceChecks: true } } },
    });
    const requestId = request?.requestId ?? 0n;
    await until("the daemon to run", async () => (await sleepers()).length > 0);
    await fleet.requests.cancelRequest({ requestId, reason: "enough" });
    const { status, tasks } = await fleet.ended(requestId);
    fleet.behave("host1", `${master}-START`, {});
    assert.equal(status, "ABORTED");
    const [task] = await tasksOf(fleet, requestId);
    assert.deepEqual([Status[task?.status ?? 0], task?.exitCode], ["ABORTED", -15]);
    assert.match(
      await fleet.output(tasks[0], 1),
      /\nCommand aborted\. Reason: 'enough'\n\nCommand failed after 1 tries\n$/,
    );
    assert.match(await fleet.output(tasks[0], 2), /\nCommand aborted\. Reason: 'enough'$/);
    assert.deepEqual(await sleepers(), []);
  });

  it("ends what takes too long, with exit code 999 and Ambari's words", async () => {
    fleet.behave("host1", `${master}-REFRESH`, { wait_for: join(fleet.dir, "never") });
    const value = { cluster: "compat", component: master, command: "REFRESH" };
    const { request } = await fleet.requests.submitRequest({
      operation: { kind: { case: "customCommand", value } },
      options: { timeout: { seconds: 1n } },
    });
    const { tasks } = await fleet.ended(request?.requestId ?? 0n);
    fleet.behave("host1", `${master}-REFRESH`, {});
    assert.deepEqual([Status[tasks[0]?.status ?? 0], tasks[0]?.exitCode], ["TIMEDOUT", 999]);
    const errors = await fleet.output(tasks[0], 2);
    assert.match(errors, /Python script has been killed due to timeout after waiting 1 secs$/);
  });

  it("runs a script that was fixed with the very next command", async () => {
    const file = join(fleet.tree, "stacks/COMPAT/1.0/services/COMPAT/package/version.txt");
    const folder = join(
      fleet.prefix("host1"),
      "cache/stacks/COMPAT/1.0/services/COMPAT/package/version.txt",
    );
    for (const version of ["two", "three"]) {
      const before = await fleet.custom("REFRESH");
      assert.notEqual(runOf("host1", before.tasks[0]?.taskId).version, version);
      writeFileSync(file, version);
      await pushStack(fleet, join(fleet.tree, "stacks", "COMPAT", "1.0"));
      const { tasks } = await fleet.custom("REFRESH");
      assert.equal(runOf("host1", tasks[0]?.taskId).version, version);
      assert.equal(readFileSync(folder, "utf8"), version);
    }
  });

  it("keeps command files, or removes those of what succeeded, as the agent is set up", async () => {
    fleet.behave("host2", "COMPAT_SLAVE-START", { exit: 1 });
    const failed = await fleet.operate(START, ["COMPAT_SLAVE"], ["host2"]);
    fleet.behave("host2", "COMPAT_SLAVE-START", {});
    const good = await fleet.operate(START, ["COMPAT_SLAVE"]);
    const fileOf = (host: string, id: bigint | undefined) =>
      join(fleet.prefix(host), "data", `command-${id}.json`);
    const goodOn = (host: string) => good.tasks.find(({ hostName }) => hostName === host)?.taskId;
    assert.ok(existsSync(fileOf("host1", goodOn("host1"))));
    assert.ok(!existsSync(fileOf("host2", goodOn("host2"))));
    assert.ok(existsSync(fileOf("host2", failed.tasks[0]?.taskId)));
  });
});

function realpathOf(path: string): string | undefined {
  return existsSync(path) ? realpathSync(path) : undefined;
}
