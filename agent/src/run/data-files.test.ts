import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { it } from "node:test";
import { memoryJournal } from "../journal/memory-journal.js";
import { temporaryFolders, testKey } from "../testing/test-agent.js";
import { areNamesFree, dataFiles, takeFileNames } from "./data-files.js";
import { neverStartedResult } from "./run-command.js";

it("should take the names of a task's files without looking through the results of seven days", async (t) => {
  const { folders, remove } = temporaryFolders();
  t.after(remove);
  const journal = memoryJournal("agent");
  const start = async (attempt: number) => {
    const key = { ...testKey(1), attempt };
    await journal.accept(key, {});
    await journal.started(key);
    return key;
  };
  const blind = {
    ...journal,
    entries: () => assert.fail("there may be a hundred thousand"),
  };
  const first = await start(1);
  assert.ok(areNamesFree(blind, folders, first));
  const { stdout } = dataFiles(folders, first.taskId);
  writeFileSync(stdout, "of the first");
  const entry = journal.entry(first);
  assert.ok(entry);
  await journal.ended(first, neverStartedResult(entry));
  const second = await start(2);
  assert.ok(!areNamesFree(blind, folders, second));
  await takeFileNames(blind, folders, second);
  assert.equal(journal.entry(first)?.fileSuffix, ".0");
  assert.ok(!existsSync(stdout) && existsSync(`${stdout}.0`));
});
