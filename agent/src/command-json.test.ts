import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  assembleCommandJson,
  type CachedDocuments,
  withCommandBeingRetried,
} from "./command-json.js";
import type { JsonObject } from "./json.js";

const agent = { hostName: "h2", publicHostName: "h2.example.org", cacheDir: "/cache" };

const cached: CachedDocuments = {
  topology: {
    hosts: [
      { hostId: 1, hostName: "h1", rackName: "/r1", ipv4: "10.0.0.1" },
      { hostId: 2, hostName: "h2", rackName: "/r2", ipv4: "10.0.0.2" },
    ],
    components: [
      {
        componentName: "NAMENODE",
        serviceName: "HDFS",
        version: "3.1",
        hostIds: [2],
        componentLevelParams: { unlimited_key_jce_required: "false" },
        commandParams: { script: "scripts/namenode.py", command_timeout: "900" },
      },
      { componentName: "DATANODE", serviceName: "HDFS", version: "3.1", hostIds: [1, 2] },
      { componentName: "ZOOKEEPER_SERVER", serviceName: "ZOOKEEPER", version: "3.8", hostIds: [1] },
    ],
  },
  metadata: {
    clusterLevelParams: { cluster_name: "c1", stack_name: "S" },
    serviceLevelParams: { HDFS: { version: "3.1" }, ZOOKEEPER: { version: "3.8" } },
  },
  ambariLevelParams: { java_home: "/java" },
  configurations: {
    timestamp: 5,
    configurations: { "core-site": { a: "1", b: "2" } },
    configurationAttributes: { "core-site": { final: { a: "true" } } },
  },
  hostLevelParams: { recoveryConfig: {} },
};

const header: JsonObject = {
  clusterId: "2",
  taskId: 7,
  role: "NAMENODE",
  serviceName: "HDFS",
  roleCommand: "START",
};

describe("assembleCommandJson()", () => {
  it("gives a command all that the cached documents say of its component", () => {
    const json = assembleCommandJson(header, cached, agent);
    assert.deepEqual(json.clusterHostInfo, {
      all_hosts: ["h1", "h2"],
      all_racks: ["/r1", "/r2"],
      all_ipv4_ips: ["10.0.0.1", "10.0.0.2"],
      namenode_hosts: ["h2"],
      datanode_hosts: ["h1", "h2"],
      zookeeper_server_hosts: ["h1"],
    });
    assert.deepEqual(json.localComponents, ["NAMENODE", "DATANODE"]);
    assert.deepEqual(json.serviceLevelParams, { version: "3.1" });
    assert.deepEqual(json.componentLevelParams, { unlimited_key_jce_required: "false" });
    assert.deepEqual(json.componentVersionMap, {
      HDFS: { NAMENODE: "3.1", DATANODE: "3.1" },
      ZOOKEEPER: { ZOOKEEPER_SERVER: "3.8" },
    });
    assert.deepEqual(json.configurationAttributes, { "core-site": { final: { a: "true" } } });
    assert.deepEqual(json.agentLevelParams, {
      hostname: "h2",
      public_hostname: "h2.example.org",
      agentCacheDir: "/cache",
      agentConfigParams: { agent: { parallel_execution: 0, use_system_proxy_settings: true } },
    });
    assert.deepEqual(
      [json.taskId, json.role, json.ambariLevelParams, json.clusterLevelParams],
      [7, "NAMENODE", { java_home: "/java" }, { cluster_name: "c1", stack_name: "S" }],
    );
  });

  it("merges the header's objects key by key and replaces everything else, changing no document", () => {
    const before = structuredClone(cached);
    const over = {
      ...header,
      configurations: { "core-site": { b: "3", list: ["x"] } },
      commandParams: { script: "scripts/other.py" },
    };
    const json = assembleCommandJson(over, cached, agent);
    assert.deepEqual(json.configurations, { "core-site": { a: "1", b: "3", list: ["x"] } });
    assert.deepEqual(json.commandParams, { script: "scripts/other.py", command_timeout: "900" });
    assert.deepEqual(cached, before);
  });

  it("takes a header's clusterHostInfo instead of the topology's, expanded", () => {
    const clusterHostInfo = {
      all_hosts: ["a", "b", "c", "d"],
      namenode_hosts: ["0,2-3"],
      all_racks: ["/r1:0-1", "/r2:2,3"],
      all_ping_ports: ["8670:0-3"],
      all_ipv4_ips: ["fe80::1:0", "10.0.0.1:1-3"],
      ambari_server_host: ["server"],
    };
    const json = assembleCommandJson({ ...header, clusterHostInfo }, cached, agent);
    assert.deepEqual(json.clusterHostInfo, {
      all_hosts: ["a", "b", "c", "d"],
      namenode_hosts: ["a", "c", "d"],
      all_racks: ["/r1", "/r1", "/r2", "/r2"],
      all_ping_ports: ["8670", "8670", "8670", "8670"],
      all_ipv4_ips: ["fe80::1", "10.0.0.1", "10.0.0.1", "10.0.0.1"],
      ambari_server_host: ["server"],
    });
  });

  it("gives a command without a cluster only the agent's and the installation's parameters", () => {
    for (const clusterId of ["-1", -1, "null", null, ""]) {
      const clusterHostInfo = { all_hosts: ["a"] };
      const json = assembleCommandJson({ clusterId, clusterHostInfo }, cached, agent);
      assert.deepEqual(Object.keys(json).toSorted(), [
        "agentLevelParams",
        "ambariLevelParams",
        "clusterHostInfo",
        "clusterId",
      ]);
    }
  });

  it("tells a further try so, beside the other agent parameters", () => {
    const json = withCommandBeingRetried(assembleCommandJson(header, cached, agent));
    const params = json.agentLevelParams as JsonObject;
    assert.deepEqual([params.commandBeingRetried, params.hostname], ["true", "h2"]);
  });
});
