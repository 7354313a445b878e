import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "../json.js";
import { clusterOf, portDefinition, putInto } from "../testing/test-cluster.js";
import { lookUp } from "./placeholders.js";
import { createRoots, readCluster } from "./watched-cluster.js";

test("an alert finds what a command of its component finds, made once", async () => {
  const bytes = new Map<string, Uint8Array>();
  const cluster = clusterOf(putInto(bytes), {
    definitions: [
      portDefinition("a", 1),
      portDefinition("b", 1, { definitionId: 2n }),
      portDefinition("c", 1, { definitionId: 3n, serviceName: "YARN", componentName: "RM" }),
    ],
    components: ["HDFS/NAMENODE", "YARN/RM"],
    configurations: { "hdfs-site": { a: "1" } },
    metadata: { serviceLevelParams: { HDFS: { version: "3" }, YARN: { version: "4" } } },
  });
  const read = async (digest: string) =>
    JSON.parse(Buffer.from(bytes.get(digest) ?? "").toString()) as JsonObject;
  const watched = await readCluster(cluster, read, "web-1");
  const rootOf = createRoots({ hostName: "web-1", publicHostName: "web-1", cacheDir: "/c" });
  const [a, b, c] = watched.alerts.map((alert) => rootOf(watched, alert));
  assert.ok(a !== undefined && c !== undefined);
  assert.equal(a, b);
  const found = [a, c].map((root) =>
    ["hdfs-site/a", "/serviceLevelParams/version", "/clusterName"].map((path) =>
      lookUp(root, path),
    ),
  );
  assert.deepEqual(found, [
    ["1", "3", "c1"],
    ["1", "4", "c1"],
  ]);
  assert.deepEqual(lookUp(c, "/clusterHostInfo/namenode_hosts"), ["web-1"]);
  assert.equal(a.clusterHostInfo, c.clusterHostInfo);
});
