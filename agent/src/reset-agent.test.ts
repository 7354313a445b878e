import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createFolders } from "./folders.js";
import { openJournal } from "./journal/open-journal.js";
import { hasEnvironment, listProcesses } from "./process-table.js";
import { ResetRefusedError, resetAgent } from "./reset-agent.js";
import { dataFiles } from "./run/data-files.js";
import {
  asJsonCommand,
  shellCommand,
  silent,
  startTestAgent,
  temporaryFolders,
  testKey,
  textOf,
  until,
} from "./testing/test-agent.js";
import { testStore } from "./testing/test-store.js";

const gently = { force: false };
const force = { force: true };

/** An agent that has run one command, whose result the server has acknowledged or not. */
async function formerAgent(t: TestContext, acknowledged: boolean) {
  const { folders, remove } = temporaryFolders();
  t.after(remove);
  const agent = await startTestAgent(folders);
  await agent.run(shellCommand(testKey(1), "echo hello"));
  if (acknowledged) await agent.journal.acknowledged(testKey(1));
  const { agentId, journalId } = agent.journal;
  await agent.stop();
  writeFileSync(folders.iniFile, "[server]\n");
  writeFileSync(join(folders.keys, "own.pem"), "key");
  return { folders, agentId, journalId };
}

test("what the server has is forgotten; settings, keys and the way to begin anew stay", async (t) => {
  const { folders, agentId, journalId } = await formerAgent(t, true);
  await resetAgent(folders, silent, gently);
  assert.deepEqual(readdirSync(folders.data), ["lock"]);
  assert.deepEqual(readdirSync(folders.cache), []);
  assert.ok(existsSync(folders.iniFile) && existsSync(join(folders.keys, "own.pem")));
  createFolders(folders);
  const journal = await openJournal(folders, silent);
  assert.notEqual(journal.agentId, agentId);
  assert.notEqual(journal.journalId, journalId);
  await journal.close();
  await resetAgent(folders, silent, gently);
  assert.match((await resetAgent(folders, silent, gently)).join(), /nothing of an agent/);
});

test("nothing is removed while the server lacks a result, unless it is forced", async (t) => {
  const { folders } = await formerAgent(t, false);
  await assert.rejects(resetAgent(folders, silent, gently), (error: unknown) => {
    assert.ok(error instanceof ResetRefusedError);
    assert.match(error.message, /^task 1, attempt 1: its result is not acknowledged\nnothing was/);
    return true;
  });
  assert.equal(textOf(dataFiles(folders, "1").stdout), "hello\n");
  assert.match((await resetAgent(folders, silent, force)).join(), /lost: task 1, attempt 1/);
  assert.deepEqual(readdirSync(folders.data), ["lock"]);
});

test("what still runs keeps a reset away, and is stopped when it is forced", async (t) => {
  const { folders, remove } = temporaryFolders();
  t.after(remove);
  const agent = await startTestAgent(folders);
  const spec = shellCommand(testKey(2), "echo begun; sleep 600");
  await agent.queue.accept(spec.key, asJsonCommand(spec));
  await until(() => textOf(dataFiles(folders, "2").stdout) !== "", "the command");
  await assert.rejects(resetAgent(folders, silent, gently), /another agent \(pid \d+\) runs/);
  await agent.stop();
  await assert.rejects(
    resetAgent(folders, silent, gently),
    /^ResetRefusedError: task 2.*: running/,
  );
  const alive = () =>
    listProcesses().filter(({ pid }) => hasEnvironment(pid, `HOWDAH_TASK=${testStore}:2:1`));
  assert.ok(alive().length > 0);
  await resetAgent(folders, silent, force);
  assert.deepEqual(alive(), []);
});

test("a damaged journal can be reset only by force", async (t) => {
  const { folders } = await formerAgent(t, true);
  const path = join(folders.journal, "journal");
  const bytes = readFileSync(path);
  bytes[bytes.indexOf("\n") + 20] = 0xff;
  writeFileSync(path, bytes);
  await assert.rejects(resetAgent(folders, silent, gently), { name: "JournalDamagedError" });
  assert.ok(existsSync(path));
  await resetAgent(folders, silent, force);
  assert.deepEqual(readdirSync(folders.data), ["lock"]);
});
