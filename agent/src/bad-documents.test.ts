import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toJson } from "@bufbuild/protobuf";
import {
  CommandSpecSchema,
  ExecutionCommandSchema,
  ScriptType,
} from "@howdah/proto/howdah/v1/command";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import type { JournalEntry } from "./journal/entry.js";
import type { Json, JsonObject } from "./json.js";
import { resolveCommand } from "./resolve-command.js";
import { temporaryFolders, testKey } from "./testing/test-agent.js";

const [configurations, topology, metadata] = ["a", "b", "c"].map((one) => one.repeat(64)) as [
  string,
  string,
  string,
];

/** What may stand in the place of what is expected. */
const values: Json[] = [null, 7, -1.5, true, "text", "", [], [null, 7, "x", {}], {}, { a: null }];

/** Each key of each document that the agent reads, down to its leaves. */
const places: [string, (value: Json) => JsonObject][] = [
  [configurations, (value) => ({ configurations: value })],
  [configurations, (value) => ({ configurations: { "hdfs-site": value } })],
  [configurations, (value) => ({ configurations: { "hdfs-site": { key: value } } })],
  [configurations, (value) => ({ configurationAttributes: value })],
  [configurations, (value) => ({ configurationAttributes: { "hdfs-site": { final: value } } })],
  [configurations, (value) => ({ timestamp: value })],
  [topology, (value) => ({ components: value })],
  [topology, (value) => ({ components: [value] })],
  [topology, (value) => ({ components: [componentWith({ hostIds: value })] })],
  [topology, (value) => ({ components: [componentWith({ version: value })] })],
  [topology, (value) => ({ components: [componentWith({ componentLevelParams: value })] })],
  [topology, (value) => ({ components: [componentWith({ commandParams: value })] })],
  [topology, (value) => ({ components: [componentWith({ componentName: value })] })],
  [topology, (value) => ({ components: [componentWith({ serviceName: value })] })],
  [topology, (value) => ({ hosts: value })],
  [topology, (value) => ({ hosts: [value] })],
  [topology, (value) => ({ hosts: [{ hostId: value, hostName: "h1" }] })],
  [topology, (value) => ({ hosts: [{ hostId: 1, hostName: value }] })],
  [
    topology,
    (value) => ({
      hosts: [{ hostId: 1, hostName: "h1", rackName: value, ipv4: value }],
      components: [componentWith({})],
    }),
  ],
  [metadata, (value) => ({ ambariLevelParams: value })],
  [metadata, (value) => ({ clusterLevelParams: value })],
  [metadata, (value) => ({ serviceLevelParams: value })],
  [metadata, (value) => ({ serviceLevelParams: { HDFS: value } })],
  [metadata, (value) => ({ serviceLevelParams: { HDFS: { service_package_folder: value } } })],
  [metadata, (value) => ({ repositoryFile: value })],
  [metadata, (value) => ({ osPackages: value })],
  [metadata, (value) => ({ osPackages: { HDFS: value } })],
  [metadata, (value) => ({ osPackages: { HDFS: [value] } })],
  [
    metadata,
    (value) => ({ osPackages: { HDFS: [{ osFamilies: value, packages: [{ name: "x" }] }] } }),
  ],
  [metadata, (value) => ({ osPackages: { HDFS: [{ osFamilies: ["any"], packages: value }] } })],
  [
    metadata,
    (value) => ({ osPackages: { HDFS: [{ osFamilies: ["any"], packages: [{ name: value }] }] } }),
  ],
];

function componentWith(more: JsonObject): JsonObject {
  return { componentName: "NAMENODE", serviceName: "HDFS", hostIds: [1], version: "1", ...more };
}

test("documents of the wrong types: the command is made ready all the same, or fails in words", async (t) => {
  const { folders, remove } = temporaryFolders();
  t.after(remove);
  const command = create(ExecutionCommandSchema, {
    ...{ taskId: 7n, attempt: 1, requestId: 3n, role: "NAMENODE" },
    ...{ roleCommand: RoleCommand.INSTALL },
    ...{ configurationsDigest: configurations, topologyDigest: topology, metadataDigest: metadata },
    spec: create(CommandSpecSchema, {
      ...{ serviceName: "HDFS", componentName: "NAMENODE", script: "scripts/a.py" },
      ...{ scriptType: ScriptType.PYTHON, packageDigest: "d".repeat(64) },
      ...{ clusterName: "c1", clusterId: 5n },
    }),
  });
  const entry = { key: testKey(7), command: toJson(ExecutionCommandSchema, command) as Json };
  const wrong: string[] = [];
  for (const [where, document] of places) {
    for (const value of values) {
      const shown = `${where[0]} ${JSON.stringify(document(value))}`;
      try {
        const { commandJson } = await resolveCommand(
          entry as JournalEntry,
          new AbortController().signal,
          {
            folders,
            packages: {
              folder: async () => folders.tmp,
              document: async (digest) => (digest === where ? document(value) : {}),
            },
            facts: { hostName: "h1", publicHostName: "h1", cacheDir: folders.cache },
          },
        );
        // It is a file that scripts can read.
        assert.equal(JSON.parse(JSON.stringify(commandJson)).taskId, 7);
      } catch (error) {
        // A slip of ours is not how an operator is told of theirs.
        if (error instanceof TypeError) wrong.push(`${shown}: ${(error as Error).message}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});
