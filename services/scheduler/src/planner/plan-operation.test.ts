import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { ScriptType } from "@howdah/proto/howdah/v1/command";
import { StackDefinitionSchema } from "@howdah/proto/howdah/v1/stack";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { cluster, stack } from "../testing/tiny-cluster.js";
import { CycleError } from "./cycle.js";
import { noMaintenance } from "./maintenance.js";
import { HostsOfflineError, InvalidOperationError, type Operation } from "./operation.js";
import type { HostState, PlanInput } from "./plan-input.js";
import { type Plan, planOperation } from "./plan-operation.js";

const plan = (operation: Operation, more: Partial<PlanInput> = {}) =>
  planOperation({ operation, cluster, stack, ...more });
const show = ({ stages }: Plan) =>
  stages.map(({ roles }) => roles.map(({ id, hosts }) => `${id}: ${hosts.join(" ")}`));
const roleOf = ({ stages }: Plan, id: string) => {
  const found = stages.flatMap(({ roles }) => roles).find((role) => role.id === id);
  return found ?? assert.fail(`${id} is not in the plan`);
};
const states = (entries: Record<string, HostState>) => new Map(Object.entries(entries));
const fails = (
  operation: Operation,
  field: string,
  message: RegExp,
  more: Partial<PlanInput> = {},
) =>
  assert.throws(
    () => plan(operation, more),
    (error) => {
      assert.ok(error instanceof InvalidOperationError, String(error));
      assert.equal(error.field, field);
      assert.match(error.message, message);
      return true;
    },
  );

describe("planOperation()", () => {
  it("installs everything, clients too, in one stage", () => {
    assert.deepEqual(show(plan({ kind: "install" })), [
      [
        "DATANODE-INSTALL: h1 h2 h3",
        "HDFS_CLIENT-INSTALL: h2 h3",
        "NAMENODE-INSTALL: h1",
        "ZOOKEEPER_SERVER-INSTALL: h1",
      ],
    ]);
  });

  it("starts and stops in the order of the rules, without clients", () => {
    assert.deepEqual(show(plan({ kind: "start" })), [
      ["NAMENODE-START: h1", "ZOOKEEPER_SERVER-START: h1"],
      ["DATANODE-START: h1 h2 h3"],
    ]);
    assert.deepEqual(show(plan({ kind: "stop", services: ["HDFS"] })), [
      ["DATANODE-STOP: h1 h2 h3"],
      ["NAMENODE-STOP: h1"],
    ]);
  });

  it("activates sections by the cluster", () => {
    const ha = {
      ...cluster,
      components: new Map([...cluster.components, ["JOURNALNODE", ["h2"]]]),
    };
    assert.deepEqual(
      show(plan({ kind: "start", components: ["NAMENODE", "ZOOKEEPER_SERVER"] }, { cluster: ha })),
      [["ZOOKEEPER_SERVER-START: h1"], ["NAMENODE-START: h1"]],
    );
  });

  it("restarts everything, sent as a custom command, and checks afterwards", () => {
    const restarted = plan({ kind: "restart", services: ["HDFS"], runServiceChecks: true });
    assert.deepEqual(show(restarted), [
      ["HDFS_CLIENT-RESTART: h2 h3", "NAMENODE-RESTART: h1"],
      ["DATANODE-RESTART: h1 h2 h3"],
      ["HDFS_SERVICE_CHECK-SERVICE_CHECK: h2"],
    ]);
    const { roleCommand, customCommand, spec } = roleOf(restarted, "NAMENODE-RESTART");
    assert.deepEqual(
      [roleCommand, customCommand, spec.customCommand, spec.script],
      [RoleCommand.CUSTOM_COMMAND, "RESTART", "RESTART", "scripts/namenode.py"],
    );
    assert.deepEqual(roleOf(restarted, "HDFS_SERVICE_CHECK-SERVICE_CHECK").blockers, [
      "DATANODE-RESTART",
      "HDFS_CLIENT-RESTART",
      "NAMENODE-RESTART",
    ]);
  });

  it("adds the checks of what it starts, on a host with a client if there is one", () => {
    const started = plan({ kind: "start", runServiceChecks: true });
    assert.deepEqual(show(started).slice(1), [
      ["DATANODE-START: h1 h2 h3", "ZOOKEEPER_QUORUM_SERVICE_CHECK-SERVICE_CHECK: h1"],
      ["HDFS_SERVICE_CHECK-SERVICE_CHECK: h2"],
    ]);
    const chosen = plan(
      { kind: "start", services: ["HDFS"], runServiceChecks: true },
      { chooseCheckHost: (hosts) => hosts.at(-1) ?? "" },
    );
    assert.deepEqual(roleOf(chosen, "HDFS_SERVICE_CHECK-SERVICE_CHECK").hosts, ["h3"]);
    assert.throws(
      () => plan({ kind: "check" }, { chooseCheckHost: () => "h9" }),
      /chooseCheckHost chose h9/,
    );
  });

  it("runs checks alone, on named hosts only if hosts are named", () => {
    assert.deepEqual(show(plan({ kind: "check" })), [
      ["HDFS_SERVICE_CHECK-SERVICE_CHECK: h2", "ZOOKEEPER_QUORUM_SERVICE_CHECK-SERVICE_CHECK: h1"],
    ]);
    const { stages, skippedChecks } = plan({ kind: "check", hosts: ["h3"] });
    assert.deepEqual(show({ stages, skippedHosts: [], skippedChecks, unchanged: 0 }), [
      ["HDFS_SERVICE_CHECK-SERVICE_CHECK: h3"],
    ]);
    assert.deepEqual(
      skippedChecks.map(({ service }) => service),
      ["ZOOKEEPER"],
    );
  });

  it("lists lost hosts and hosts in maintenance as skipped, with the reason and what they miss", () => {
    const hostStates = states({ h3: "LOST" });
    const maintenance = { ...noMaintenance, hosts: new Map([["h2", "new disks"]]) };
    const started = plan(
      { kind: "start", services: ["HDFS"], runServiceChecks: true },
      { hostStates, maintenance },
    );
    assert.deepEqual(show(started), [
      ["NAMENODE-START: h1"],
      ["DATANODE-START: h1"],
      ["HDFS_SERVICE_CHECK-SERVICE_CHECK: h1"],
    ]);
    assert.deepEqual(started.skippedHosts, [
      { host: "h2", reason: "in maintenance: new disks", commands: ["DATANODE START"] },
      { host: "h3", reason: "lost: no heartbeat", commands: ["DATANODE START"] },
    ]);
    const waiting = plan(
      { kind: "start", services: ["HDFS"], offlineHosts: "wait" },
      { hostStates, maintenance },
    );
    assert.deepEqual(roleOf(waiting, "DATANODE-START").hosts, ["h1", "h2", "h3"]);
    assert.deepEqual(waiting.skippedHosts, []);
    assert.throws(
      () => plan({ kind: "start", offlineHosts: "refuse" }, { hostStates, maintenance }),
      (error) => {
        assert.ok(error instanceof HostsOfflineError);
        assert.match(error.message, /h2 \(in maintenance: new disks\), h3 \(lost: no heartbeat\)/);
        return true;
      },
    );
    plan(
      { kind: "start", components: ["NAMENODE"], offlineHosts: "refuse" },
      { hostStates, maintenance },
    );
  });

  it("says which checks no host is left for", () => {
    const { stages, skippedHosts, skippedChecks } = plan(
      { kind: "check", services: ["ZOOKEEPER"] },
      { hostStates: states({ h1: "LOST" }) },
    );
    assert.deepEqual(stages, []);
    assert.deepEqual(
      skippedHosts.map(({ host }) => host),
      ["h1"],
    );
    assert.equal(skippedChecks[0]?.role, "ZOOKEEPER_QUORUM_SERVICE_CHECK");
  });

  it("puts everything into one stage for DEPENDENCY_ORDERED and names the blockers", () => {
    const { stages } = plan({
      kind: "start",
      executionType: "DEPENDENCY_ORDERED",
      runServiceChecks: true,
    });
    assert.equal(stages.length, 1);
    assert.deepEqual(
      stages[0]?.roles.map(({ id, blockers }) => [id, ...blockers]),
      [
        ["NAMENODE-START"],
        ["ZOOKEEPER_SERVER-START"],
        ["DATANODE-START", "NAMENODE-START"],
        ["ZOOKEEPER_QUORUM_SERVICE_CHECK-SERVICE_CHECK", "ZOOKEEPER_SERVER-START"],
        ["HDFS_SERVICE_CHECK-SERVICE_CHECK", "DATANODE-START", "NAMENODE-START"],
      ],
    );
  });

  it("says what each role runs", () => {
    const { spec } = roleOf(
      plan({ kind: "start", roleParams: { a: "1" }, commandParams: { b: "2" } }),
      "NAMENODE-START",
    );
    const { $typeName, ...pieces } = spec;
    assert.deepEqual(pieces, {
      serviceName: "HDFS",
      componentName: "NAMENODE",
      customCommand: "",
      scriptType: ScriptType.PYTHON,
      script: "scripts/namenode.py",
      packageDigest: "hdfs",
      hooksDigest: "hooks",
      argv: [],
      timeoutMs: 1_200_000n,
      commandParams: { b: "2" },
      roleParams: { a: "1", component_category: "MASTER" },
      background: false,
      clusterName: "c1",
      clusterId: 7n,
    });
    const check = roleOf(plan({ kind: "check" }), "HDFS_SERVICE_CHECK-SERVICE_CHECK").spec;
    assert.deepEqual([check.componentName, check.script], ["", "scripts/check.py"]);
  });

  it("tells scripts where their package is, and agents what to try again", () => {
    const environment = { command_retry_enabled: "true", command_retry_max_time_in_sec: "60" };
    const folders = structuredClone(stack);
    for (const service of folders.services) service.packageFolder = `stacks/T/1/${service.name}`;
    const paramsOf = (operation: Operation, id: string) =>
      roleOf(plan(operation, { stack: folders, cluster: { ...cluster, environment } }), id).spec
        .commandParams;
    const folder = { service_package_folder: "stacks/T/1/HDFS" };
    assert.deepEqual(paramsOf({ kind: "start" }, "NAMENODE-START"), {
      ...folder,
      ...{ command_retry_enabled: "true", max_duration_for_retries: "60" },
    });
    assert.deepEqual(paramsOf({ kind: "stop" }, "NAMENODE-STOP"), folder);
    assert.deepEqual(paramsOf({ kind: "check" }, "HDFS_SERVICE_CHECK-SERVICE_CHECK"), folder);
  });

  it("gives each command its time-out", () => {
    const of = (operation: Operation, id: string, more: Partial<PlanInput> = {}) =>
      roleOf(plan(operation, more), id).spec.timeoutMs;
    assert.equal(of({ kind: "start" }, "DATANODE-START"), 3_600_000n);
    assert.equal(of({ kind: "start" }, "ZOOKEEPER_SERVER-START"), 900_000n);
    assert.equal(of({ kind: "install" }, "ZOOKEEPER_SERVER-INSTALL"), 1_800_000n);
    assert.equal(of({ kind: "install" }, "NAMENODE-INSTALL"), 1_800_000n);
    assert.equal(of({ kind: "install" }, "DATANODE-INSTALL"), 3_600_000n);
    assert.equal(of({ kind: "check" }, "HDFS_SERVICE_CHECK-SERVICE_CHECK"), 300_000n);
    const quorum = "ZOOKEEPER_QUORUM_SERVICE_CHECK-SERVICE_CHECK";
    assert.equal(of({ kind: "check" }, quorum), 900_000n);
    const timeouts = { defaultMs: 5, installMs: 6, serviceCheckMs: 7 };
    assert.equal(of({ kind: "check" }, quorum, { timeouts }), 7n);
    assert.equal(of({ kind: "start" }, "ZOOKEEPER_SERVER-START", { timeouts }), 5n);
    assert.equal(of({ kind: "install" }, "ZOOKEEPER_SERVER-INSTALL", { timeouts }), 6n);
    assert.equal(of({ kind: "install", timeoutMs: 1 }, "DATANODE-INSTALL"), 1n);
    fails({ kind: "start", timeoutMs: 0 }, "timeoutMs", /0 must be a whole number/);
  });

  it("runs custom commands with their own script and time-out, else the component's", () => {
    const custom = (customCommand: string) =>
      roleOf(
        plan({ kind: "custom", components: ["NAMENODE"], customCommand }),
        customCommand === "RESTART" ? "NAMENODE-RESTART" : "NAMENODE-CUSTOM_COMMAND",
      ).spec;
    const pieces = (name: string) => {
      const { script, timeoutMs, background, customCommand } = custom(name);
      return [script, timeoutMs, background, customCommand];
    };
    assert.deepEqual(pieces("REBALANCE"), ["scripts/rebalance.py", 60_000n, true, "REBALANCE"]);
    assert.deepEqual(pieces("REFRESH"), ["scripts/namenode.py", 1_200_000n, false, "REFRESH"]);
    assert.deepEqual(pieces("RESTART"), ["scripts/namenode.py", 1_200_000n, false, "RESTART"]);
    const slowly = structuredClone(stack);
    const slow = slowly.services[0]?.components[0]?.customCommands[1];
    if (slow !== undefined) slow.background = true;
    const operation = {
      kind: "custom",
      components: ["NAMENODE"],
      customCommand: "REFRESH",
    } as const;
    const week = roleOf(plan(operation, { stack: slowly }), "NAMENODE-CUSTOM_COMMAND").spec;
    assert.deepEqual([week.background, week.timeoutMs], [true, 604_800_000n]);
    fails(
      { kind: "custom", components: ["NAMENODE"], customCommand: "DANCE" },
      "customCommand",
      /NAMENODE has no custom command DANCE; it has REBALANCE, REFRESH, RESTART, START/,
    );
    fails({ kind: "custom", components: ["NAMENODE"] }, "customCommand", /name the custom command/);
    fails({ kind: "custom", customCommand: "REFRESH" }, "components", /needs a component/);
  });

  it("has Ambari's success factors, which an operation may replace", () => {
    const factor = (operation: Operation, id: string) => roleOf(plan(operation), id).successFactor;
    assert.equal(factor({ kind: "start" }, "DATANODE-START"), 0.5);
    assert.equal(factor({ kind: "start" }, "NAMENODE-START"), 1);
    assert.equal(factor({ kind: "start", successFactors: { DATANODE: 0 } }, "DATANODE-START"), 0);
    fails(
      { kind: "start", successFactors: { DATANODE: 1.5 } },
      "successFactors",
      /DATANODE has 1.5; it must be 0 to 1/,
    );
    factor(
      { kind: "start", components: ["NAMENODE"], successFactors: { DATANODE: 0.5 } },
      "NAMENODE-START",
    );
    factor({ kind: "start", successFactors: { HDFS_SERVICE_CHECK: 0 } }, "NAMENODE-START");
    fails(
      { kind: "start", services: ["HDFS"], successFactors: { DATANODES: 0.9 } },
      "successFactors",
      /DATANODES is no role of HDFS; there are NAMENODE, DATANODE, .*, HDFS_SERVICE_CHECK$/,
    );
  });

  it("names what is not there, and what is", () => {
    fails(
      { kind: "start", services: ["HIVE"] },
      "services",
      /HIVE is not in cluster c1, which has HDFS, ZOOKEEPER/,
    );
    fails(
      { kind: "start" },
      "services",
      /YARN is not in stack TINY\/1.0, which has HDFS, ZOOKEEPER, BARE/,
      { cluster: { ...cluster, services: ["YARN"] } },
    );
    fails(
      { kind: "start", services: ["HDFS"], components: ["ZOOKEEPER_SERVER"] },
      "components",
      /ZOOKEEPER_SERVER is no component of HDFS; there are NAMENODE, DATANODE, JOURNALNODE, HDFS_CLIENT/,
    );
    fails(
      { kind: "start", components: ["JOURNALNODE"] },
      "components",
      /JOURNALNODE is on no host/,
    );
    fails({ kind: "stop", components: ["HDFS_CLIENT"] }, "components", /HDFS_CLIENT is a client/);
    for (const kind of ["start", "check"] as const) {
      fails({ kind, hosts: ["h9"] }, "hosts", /h9 is not in cluster c1, which has h1, h2, h3/);
    }
    fails(
      { kind: "start", components: ["NAMENODE"], hosts: ["h2"] },
      "hosts",
      /none of h2 has any of NAMENODE/,
    );
    fails({ kind: "check", components: ["NAMENODE"] }, "components", /a check is about services/);
    const withBare = {
      ...cluster,
      services: ["BARE"],
      components: new Map([["BARE_SERVER", ["h1"]]]),
    };
    fails({ kind: "start" }, "components", /BARE_SERVER has no commandScript/, {
      cluster: withBare,
    });
    fails({ kind: "check", services: ["BARE"] }, "services", /BARE has no service check/, {
      cluster: withBare,
    });
    fails({ kind: "start" }, "components", /NODEMANAGER of cluster c1 is in none of its services/, {
      cluster: { ...cluster, components: new Map([["NODEMANAGER", ["h1"]]]) },
    });
    fails({ kind: "start" }, "components", /NAMENODE is twice on host h1/, {
      cluster: { ...cluster, components: new Map([["NAMENODE", ["h1", "h1"]]]) },
    });
  });

  it("takes only named hosts", () => {
    assert.deepEqual(show(plan({ kind: "install", hosts: ["h3", "h2"], services: ["HDFS"] })), [
      ["DATANODE-INSTALL: h2 h3", "HDFS_CLIENT-INSTALL: h2 h3"],
    ]);
  });

  it("tells of circles before anything runs", () => {
    const knotted = create(StackDefinitionSchema, {
      name: "KNOT",
      services: stack.services,
      roleCommandOrder: [
        {
          name: "general_deps",
          rules: [
            { blocked: "DATANODE-START", blockers: ["NAMENODE-START"] },
            { blocked: "NAMENODE-START", blockers: ["DATANODE-START"] },
          ],
        },
      ],
    });
    for (const executionType of ["STAGE", "DEPENDENCY_ORDERED"] as const) {
      assert.throws(() => plan({ kind: "start", executionType }, { stack: knotted }), CycleError);
    }
  });
});
