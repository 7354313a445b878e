import assert from "node:assert/strict";
import { existsSync, realpathSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { root } from "../system/fleet.js";
import { type CompatFleet, hosts } from "./compat-fleet.js";
import { master, partOf, realpathOf, runOf, stepsOf } from "./script-runs.js";

const { INSTALL, START } = RoleCommand;

/** What scripts find: arguments, environment, command file, hooks, folders. Installs first. */
export function whatScriptsFind(compat: () => CompatFleet): void {
  it("installs: packages for this system, hooks before and after, which share structured output", async () => {
    const fleet = compat();
    fleet.behave("host1", `${master}-INSTALL`, { structured: '{"version": "1.2.3-4"}' });
    const { status, tasks } = await fleet.operate(INSTALL, []);
    assert.equal(status, "COMPLETED");
    const task = tasks.find(({ role }) => role === master);
    const runs = fleet.runs("host1", task?.taskId);
    // The hook runs before-ANY itself, as those of published stacks do.
    assert.deepEqual(stepsOf(runs), [
      ...["before-ANY", "before-INSTALL", "compat.py", "after-INSTALL"],
    ]);
    assert.equal(runs[0]?.argv[0], "ANY");
    assert.deepEqual(
      runs.map(({ structured }) => structured),
      [null, null, null, '{"version": "1.2.3-4"}'],
    );
    const params = partOf(runOf(fleet, "host1", task?.taskId), "commandParams");
    assert.deepEqual(JSON.parse(String(params.package_list)), [
      { name: `compat_\${stack_version}`, condition: "", skipUpgrade: false },
    ]);
    assert.equal(await fleet.output(task, 3), '{"version":"1.2.3-4"}');
    assert.match(await fleet.output(task, 1), /\n\n\nCommand completed successfully!\n$/);
  });

  it("gives scripts their arguments, environment, folder and nothing else", async () => {
    const fleet = compat();
    const { status, tasks } = await fleet.operate(START, ["COMPAT_SLAVE"]);
    assert.equal(status, "COMPLETED");
    const taskOn = (host: string) => tasks.find(({ hostName }) => hostName === host)?.taskId;
    const [one, two] = hosts.map((host) => runOf(fleet, host, taskOn(host)));
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
    // Where its ini says so; else it is the host's name, as the next test sees.
    const { hostname, public_hostname } = partOf(two, "agentLevelParams");
    assert.deepEqual([hostname, public_hostname], ["host2", "host2.example.org"]);
    assert.equal(environment.COMPAT_GREETING, undefined);
    assert.equal(two.environment.COMPAT_GREETING, "good morning");
  });

  it("gives scripts every key of their command file", async () => {
    const fleet = compat();
    const { tasks } = await fleet.operate(START, [master]);
    const [task] = tasks;
    const run = runOf(fleet, "host1", task?.taskId);
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
      compat_path: "/compat/data",
    });
    assert.equal((cluster as Record<string, string>).java_home, "/usr/lib/jvm/default");
    assert.deepEqual(command.configurationAttributes, {
      "compat-env": { final: { fixed: "true" } },
    });
    assert.deepEqual(command.clusterHostInfo, {
      ...{ all_hosts: hosts, all_racks: ["/default-rack", "/default-rack"] },
      ...{ all_ipv4_ips: await addressesOf(fleet, hosts) },
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
    assert.equal(level.not_managed_hdfs_path_list, '["/compat/data"]');
    const service = partOf(run, "serviceLevelParams");
    assert.deepEqual(
      [service.version, service.service_package_folder, service.credentialStoreEnabled],
      ["1.2.3", folder, false],
    );
    assert.equal(service.status_commands_timeout, 300);
    assert.deepEqual(command.componentLevelParams, {
      ...{ clientsToUpdateConfigs: '["*"]', unlimited_key_jce_required: "false" },
    });
    // Two are the cluster's own, in its cluster-env; those without a default, such as jdk_name, are not there.
    assert.deepEqual(partOf(run, "ambariLevelParams"), {
      ...{ java_home: "/usr/lib/jvm/default", java_version: "17", gpl_license_accepted: "false" },
      ...{ ambari_server_host: "localhost", ambari_server_port: "8080" },
      ...{ ambari_server_use_ssl: "false", host_sys_prepped: "false" },
      ...{ agent_stack_retry_count: "5", agent_stack_retry_on_unavailability: "false" },
    });
    const agent = partOf(run, "agentLevelParams");
    assert.deepEqual(
      [agent.hostname, agent.public_hostname, agent.agentCacheDir],
      ["host1", "host1", join(fleet.prefix("host1"), "cache")],
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
    const fleet = compat();
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
    const fleet = compat();
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
    const fleet = compat();
    const { status, tasks } = await fleet.operate(START, ["BASE_ONE", "PLUGIN_ONE"]);
    assert.equal(status, "COMPLETED");
    for (const [role, folder] of [
      ["BASE_ONE", "common-services/BASE/1.0/package"],
      ["PLUGIN_ONE", "extensions/EXT/1.0/services/PLUGIN/package"],
    ] as const) {
      const run = runOf(fleet, "host1", tasks.find((task) => task.role === role)?.taskId);
      assert.equal(partOf(run, "serviceLevelParams").service_package_folder, folder);
      const link = join(fleet.prefix("host1"), "cache", folder);
      assert.equal(realpathOf(link), run.argv[2]);
    }
    const hooks = join(fleet.prefix("host1"), "cache", "stack-hooks");
    assert.ok(existsSync(join(hooks, "before-START", "scripts", "hook.py")));
  });
}

/** The address that each host's agent has told of it; its name on a machine without a network. */
async function addressesOf({ fleet }: CompatFleet, names: readonly string[]): Promise<string[]> {
  const addresses = Object.values(networkInterfaces()).flatMap((some) => some ?? []);
  const own = addresses.filter(({ family, internal }) => family === "IPv4" && !internal);
  const told = names.map(async (hostName) => {
    const { host } = await fleet.getHost({ hostName });
    const { ipaddress } = JSON.parse(host?.factsJson ?? "{}") as { ipaddress?: string };
    if (own.length === 0 && !ipaddress) return hostName;
    assert.match(ipaddress ?? "", /^\d+(\.\d+){3}$/);
    return String(ipaddress);
  });
  return Promise.all(told);
}
