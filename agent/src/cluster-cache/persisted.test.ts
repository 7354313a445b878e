import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import {
  type AlertDefinitionCommand,
  AlertDefinitionCommandSchema,
} from "@howdah/proto/howdah/v1/agent_service";
import { pino } from "pino";
import { temporaryFolders } from "../testing/test-agent.js";
import { persistedMessage } from "./persisted.js";

function place(t: TestContext) {
  const { folders, remove } = temporaryFolders();
  t.after(remove);
  const warnings: string[] = [];
  const log = pino({}, { write: (line: string) => warnings.push(JSON.parse(line).msg) });
  const open = () => persistedMessage(folders, "said", AlertDefinitionCommandSchema, log);
  return { folders, warnings, open, file: join(folders.clusterCache, "said.json") };
}

function said(clusterName: string): { storeId: string; message: AlertDefinitionCommand } {
  const clusters = [{ clusterName, clusterId: 7n }];
  return { storeId: "s", message: create(AlertDefinitionCommandSchema, { clusters }) };
}

test("what was said last is there after a restart, and nothing before anything was said", async (t) => {
  const { open, folders, warnings } = place(t);
  const first = open();
  assert.equal(await first.read(), undefined);
  for (const name of ["a", "b", "c"]) first.keep(said(name));
  await first.written();
  assert.deepEqual(await open().read(), said("c"));
  assert.deepEqual(readdirSync(folders.clusterCache), ["said.json"]);
  assert.deepEqual(warnings, []);
});

test("a file that is rubbish is as none, and said", async (t) => {
  const { open, file, warnings } = place(t);
  for (const text of ["", "{", "[]", '{"storeId":1,"message":{}}', '{"storeId":"s"}']) {
    writeFileSync(file, text);
    assert.equal(await open().read(), undefined, text);
  }
  assert.equal(warnings.length, 5);
});

test("a file of which a byte has changed is as none, and said", async (t) => {
  const { open, file, warnings } = place(t);
  const persisted = open();
  persisted.keep(said("prod"));
  await persisted.written();
  writeFileSync(file, readFileSync(file, "utf8").replace("prod", "prof"));
  assert.equal(await open().read(), undefined);
  assert.deepEqual(warnings, ["what the server said before cannot be read"]);
});

test("a disk that takes nothing is no failure", async (t) => {
  const { open, folders, warnings } = place(t);
  rmSync(folders.clusterCache, { recursive: true });
  const persisted = open();
  persisted.keep(said("a"));
  await persisted.written();
  assert.deepEqual(warnings, ["what the server said could not be kept"]);
});
