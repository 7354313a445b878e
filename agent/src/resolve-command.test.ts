import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { create, type MessageInitShape, toJson } from "@bufbuild/protobuf";
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

const digest = "a".repeat(64);
const metadata: JsonObject = {
  clusterLevelParams: { cluster_name: "c1" },
  serviceLevelParams: { HDFS: { service_package_folder: "stacks/S/1/services/HDFS/package" } },
  repositoryFile: { repositories: [] },
  osPackages: { HDFS: [{ osFamilies: ["any"], packages: [{ name: "hadoop" }] }] },
};

/** What becomes of a command of NAMENODE. */
async function resolve(
  t: TestContext,
  command: MessageInitShape<typeof ExecutionCommandSchema> = {},
  params: Record<string, string> = {},
  more: MessageInitShape<typeof CommandSpecSchema> = {},
) {
  const { folders, remove } = temporaryFolders();
  t.after(remove);
  const made = create(ExecutionCommandSchema, {
    ...{ taskId: 7n, attempt: 1, requestId: 3n, stageId: 2, role: "NAMENODE" },
    ...{ roleCommand: RoleCommand.INSTALL, metadataDigest: digest },
    ...command,
    spec: create(CommandSpecSchema, {
      ...{ serviceName: "HDFS", componentName: "NAMENODE", script: "scripts/a.py" },
      ...{ scriptType: ScriptType.PYTHON, packageDigest: digest, commandParams: params },
      ...{ clusterName: "c1", clusterId: 5n, roleParams: { component_category: "MASTER" } },
      ...more,
    }),
  });
  const entry = { key: testKey(7), command: toJson(ExecutionCommandSchema, made) as Json };
  const spec = await resolveCommand(entry as JournalEntry, new AbortController().signal, {
    folders,
    packages: {
      folder: async () => folders.tmp,
      document: async () => metadata,
    },
    facts: { hostName: "h1", publicHostName: "h1", cacheDir: folders.cache },
  });
  return { spec, json: spec.commandJson };
}

test("the keys that a command brings itself", async (t) => {
  const { json } = await resolve(t, {}, { custom: "yes" });
  const { commandParams, roleParams, repositoryFile, ...header } = json;
  const keys = [
    ...["commandType", "clusterId", "clusterName", "requestId", "taskId", "commandId"],
    ...["role", "roleCommand", "serviceName"],
  ] as const;
  assert.deepEqual(
    keys.map((key) => header[key]),
    [...["EXECUTION_COMMAND", "5", "c1", 3, 7, "3-2"], ...["NAMENODE", "INSTALL", "HDFS"]],
  );
  assert.deepEqual(commandParams, {
    ...{ script: "scripts/a.py", script_type: "PYTHON", command_timeout: "900", custom: "yes" },
    package_list: '[{"name":"hadoop"}]',
  });
  assert.deepEqual(roleParams, { component_category: "MASTER" });
  assert.deepEqual(repositoryFile, { repositories: [] });
  const start = await resolve(t, { roleCommand: RoleCommand.START });
  assert.equal((start.json.commandParams as JsonObject).package_list, undefined);
});

test("a command is tried again in place only where its parameters say so", async (t) => {
  const on = { command_retry_enabled: "true", max_duration_for_retries: "600" };
  assert.equal((await resolve(t, {}, on)).spec.retryMs, 600_000);
  for (const params of [
    {},
    { max_duration_for_retries: "600" },
    { command_retry_enabled: "true" },
    { ...on, command_retry_enabled: "false" },
    { ...on, max_duration_for_retries: "soon" },
    { ...on, max_duration_for_retries: "-1" },
  ]) {
    assert.equal((await resolve(t, {}, params)).spec.retryMs, 0, JSON.stringify(params));
  }
  const background = await resolve(t, {}, on, { background: true });
  assert.equal(background.spec.retryMs, 0);
  assert.equal(background.json.commandType, "BACKGROUND_EXECUTION_COMMAND");
});

test("commands that are none are refused, with the reason", async (t) => {
  await assert.rejects(resolve(t, { roleCommand: 0 }), /does not say which role command it is/);
  await assert.rejects(
    resolve(t, { roleCommand: 99 as RoleCommand }),
    /does not know the role command 99: upgrade it/,
  );
  const cases: [MessageInitShape<typeof CommandSpecSchema>, RegExp][] = [
    [{ scriptType: 77 as ScriptType }, /does not know the script type 77: upgrade/],
    [{ script: "" }, /NAMENODE has no script to run/],
    [{ packageDigest: "" }, /no package with the scripts of HDFS/],
  ];
  for (const [spec, message] of cases) await assert.rejects(resolve(t, {}, {}, spec), message);
});
