import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { canonicalJson } from "../canonical-json.js";
import { sampleStack } from "../testing/sample-fleet.js";
import type { ClusterContent } from "./cluster.js";
import { configurationsDocument, metadataDocument, topologyDocument } from "./cluster-documents.js";

const cluster: ClusterContent = {
  name: "c1",
  stackName: "SAMPLE",
  stackVersion: "1.0",
  services: ["HDFS"],
  placements: [
    { service: "HDFS", component: "DATANODE", hostNames: ["h2", "h10"] },
    { service: "HDFS", component: "NAMENODE", hostNames: ["h1"] },
  ],
  configurations: new Map([
    ["hdfs-site", { properties: { a: "1", b: "2" }, final: ["b"], secret: [] }],
    ["db", { properties: { password: "real" }, final: [], secret: ["password"] }],
    [
      "cluster-env",
      {
        properties: { java_home: "/usr/lib/jvm", gpl_license_accepted: "true" },
        final: [],
        secret: [],
      },
    ],
  ]),
};
const hosts = [
  { hostId: 4, hostName: "h10" },
  { hostId: 3, hostName: "h2", rackName: "/r2" },
  { hostId: 2, hostName: "h1", ipv4: "10.0.0.1" },
  { hostId: 9, hostName: "elsewhere" },
];

describe("canonicalJson()", () => {
  it("sorts keys at every level and leaves lists alone", () => {
    const text = canonicalJson({ b: [{ y: 1, x: [3, 1] }], a: null });
    assert.equal(text, '{"a":null,"b":[{"x":[3,1],"y":1}]}');
  });
});

describe("a cluster's documents", () => {
  it("configurations: types, final attributes, secrets as they are", () => {
    assert.deepEqual(JSON.parse(configurationsDocument(cluster)), {
      configurations: {
        "cluster-env": { gpl_license_accepted: "true", java_home: "/usr/lib/jvm" },
        db: { password: "real" },
        "hdfs-site": { a: "1", b: "2" },
      },
      configurationAttributes: { "hdfs-site": { final: { b: "true" } } },
    });
  });

  it("topology: components by host id, hosts in natural order, racks and addresses without gaps", () => {
    assert.deepEqual(JSON.parse(topologyDocument(cluster, 7, hosts)), {
      clusterName: "c1",
      clusterId: 7,
      components: [
        { serviceName: "HDFS", componentName: "DATANODE", hostIds: [3, 4] },
        { serviceName: "HDFS", componentName: "NAMENODE", hostIds: [2] },
      ],
      hosts: [
        { hostId: 2, hostName: "h1", ipv4: "10.0.0.1", rackName: "/default-rack" },
        { hostId: 3, hostName: "h2", ipv4: "h2", rackName: "/r2" },
        { hostId: 4, hostName: "h10", ipv4: "h10", rackName: "/default-rack" },
      ],
    });
  });

  it("metadata: the packages of its services, and a file of repositories that names none", () => {
    const stack = sampleStack();
    const packages = [{ name: "hadoop", condition: "", skipUpgrade: false }];
    for (const service of stack.services) {
      service.osPackages = [{ osFamilies: ["any"], packages }] as typeof service.osPackages;
    }
    const metadata = JSON.parse(metadataDocument(cluster, stack)) as Record<string, object>;
    assert.deepEqual(metadata.osPackages, { HDFS: [{ osFamilies: ["any"], packages }] });
    assert.deepEqual(metadata.repositoryFile, {
      ...{ stackName: "SAMPLE", repoVersion: "1.0", repoVersionId: 1, resolved: true },
      ...{ repoFileName: "howdah-sample", repositories: [] },
      feature: { preInstalled: false, scoped: false },
    });
  });

  it("metadata: cluster, service and host-wide parameters", () => {
    const metadata = JSON.parse(metadataDocument(cluster, sampleStack({ hooksDigest: "ab" }))) as {
      clusterLevelParams: Record<string, string>;
      serviceLevelParams: Record<string, Record<string, unknown>>;
      ambariLevelParams: Record<string, string>;
    };
    assert.equal(metadata.clusterLevelParams.cluster_name, "c1");
    assert.equal(metadata.clusterLevelParams.stack_version, "1.0");
    assert.equal(metadata.clusterLevelParams.hooks_folder, "stack-hooks");
    assert.deepEqual(Object.keys(metadata.serviceLevelParams), ["HDFS"]);
    assert.equal(metadata.serviceLevelParams.HDFS?.version, "3.3");
    assert.equal(
      metadata.serviceLevelParams.HDFS?.service_package_folder,
      "stacks/SAMPLE/1.0/services/HDFS/package",
    );
    assert.deepEqual(metadata.ambariLevelParams, {
      agent_stack_retry_count: "5",
      agent_stack_retry_on_unavailability: "false",
      ambari_server_host: "localhost",
      ambari_server_port: "8080",
      ambari_server_use_ssl: "false",
      gpl_license_accepted: "true",
      host_sys_prepped: "false",
      java_home: "/usr/lib/jvm",
      java_version: "8",
    });
    assert.ok(
      !("hooks_folder" in JSON.parse(metadataDocument(cluster, sampleStack())).clusterLevelParams),
    );
  });
});
