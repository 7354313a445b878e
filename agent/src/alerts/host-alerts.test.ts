import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toJson } from "@bufbuild/protobuf";
import {
  type AlertDefinition,
  AlertDefinitionsSchema,
  AlertSourceType,
  ClusterAlertsSchema,
} from "@howdah/proto/howdah/v1/alert";
import type { JsonObject } from "../json.js";
import { portDefinition } from "../testing/test-cluster.js";
import { alertsOfHost, readDefinitions } from "./host-alerts.js";

const cluster = create(ClusterAlertsSchema, {
  clusterId: 7n,
  clusterName: "c1",
  masterComponents: ["NAMENODE", "HBASE_MASTER"],
});
const topology = {
  components: [
    { serviceName: "HDFS", componentName: "NAMENODE", hostIds: [1] },
    { serviceName: "HDFS", componentName: "DATANODE", hostIds: [1, 2] },
    { serviceName: "HBASE", componentName: "HBASE_MASTER", hostIds: [2] },
  ],
  hosts: [
    { hostId: 1, hostName: "Web-1" },
    { hostId: 2, hostName: "web-2" },
  ],
};

let ids = 0n;
function definition(place: string, more: Parameters<typeof portDefinition>[2] = {}) {
  const [serviceName = "", componentName = ""] = place.split("/");
  ids += 1n;
  const rest = { definitionId: ids, serviceName, componentName, ...more };
  return portDefinition(`${place} ${ids}`, 1, rest);
}

function watchedBy(
  hostName: string,
  definitions: readonly AlertDefinition[],
  configurations: JsonObject = {},
) {
  return alertsOfHost(definitions, cluster, { topology, configurations }, hostName);
}

test("a host watches its components, the services whose MASTER it has, and itself", () => {
  const definitions = [
    ...["HDFS/NAMENODE", "HDFS/DATANODE", "HDFS", "HBASE", "HBASE/HBASE_MASTER", "YARN"],
    ...["AMBARI/AMBARI_AGENT", "AMBARI/AMBARI_SERVER", "AMBARI"],
  ].map((place) => definition(place));
  const watched = (host: string) =>
    watchedBy(host, definitions).map(({ definition }) => definition.name.split(" ")[0]);
  assert.deepEqual(watched("web-1"), [
    ...["HDFS/NAMENODE", "HDFS/DATANODE", "HDFS", "AMBARI/AMBARI_AGENT"],
  ]);
  // web-2 has a DATANODE and no MASTER of HDFS.
  assert.deepEqual(watched("web-2"), [
    ...["HDFS/DATANODE", "HBASE", "HBASE/HBASE_MASTER", "AMBARI/AMBARI_AGENT"],
  ]);
  assert.deepEqual(watched("web-3"), ["AMBARI/AMBARI_AGENT"]);
});

test("what the server finds out, and what is switched off, no host watches", () => {
  const types = [AlertSourceType.AGGREGATE, AlertSourceType.SERVER];
  const definitions = types.map((sourceType) => definition("HDFS/NAMENODE", { sourceType }));
  assert.deepEqual(watchedBy("web-1", definitions), []);
  assert.deepEqual(watchedBy("web-1", [definition("HDFS/NAMENODE", { enabled: false })]), []);
});

test("the tolerance is the definition's, else the cluster's, else one", () => {
  const own = definition("HDFS/NAMENODE", { repeatTolerance: 3 });
  const none = definition("HDFS/NAMENODE");
  const tolerances = (value?: string) => {
    const environment = value === undefined ? {} : { alerts_repeat_tolerance: value };
    const configurations = { configurations: { "cluster-env": environment } };
    return watchedBy("web-1", [own, none], configurations).map(({ tolerance }) => tolerance);
  };
  assert.deepEqual(tolerances(), [3, 1]);
  assert.deepEqual(tolerances("2"), [3, 2]);
  assert.deepEqual(tolerances("x"), [3, 1]);
  assert.deepEqual(tolerances("0"), [3, 1]);
  assert.deepEqual(tolerances("1e9"), [3, 100]);
});

test("a topology that is rubbish has no components", () => {
  for (const topology of [{}, { hosts: 1 }, { hosts: [{}], components: [null, 3, {}] }]) {
    const documents = { topology, configurations: {} };
    const definitions = [definition("HDFS/NAMENODE")];
    assert.deepEqual(alertsOfHost(definitions, cluster, documents, "web-1"), []);
  }
});

test("documents of definitions that are rubbish are refused", () => {
  const good = definition("HDFS/NAMENODE");
  const json = (...definitions: AlertDefinition[]) =>
    toJson(AlertDefinitionsSchema, create(AlertDefinitionsSchema, { definitions })) as JsonObject;
  assert.deepEqual(readDefinitions(json(good)), [good]);
  assert.deepEqual(readDefinitions({ ...json(good), later: { thing: 1 } }), [good]);
  assert.deepEqual(readDefinitions({}), []);
  assert.throws(() => readDefinitions({ definitions: 3 }));
  assert.throws(() => readDefinitions({ definitions: [{ name: { x: 1 } }] }));
  assert.throws(() => readDefinitions(json({ ...good, name: "" })), /without a name/);
  assert.throws(
    () => readDefinitions(json({ ...good, definitionId: 0n })),
    /without a name or an id/,
  );
  assert.throws(() => readDefinitions(json(good, good)), /two definitions with the id/);
});
