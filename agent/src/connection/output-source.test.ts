import assert from "node:assert/strict";
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { type TestContext, test } from "node:test";
import type { JournalEntry } from "../journal/entry.js";
import { dataFiles } from "../run/data-files.js";
import { recordFolderOf } from "../run/record-folders.js";
import { neverStartedResult } from "../run/run-command.js";
import { temporaryFolders, testKey } from "../testing/test-agent.js";
import { STDERR, STDOUT, STRUCTURED } from "../testing/test-dispatcher.js";
import { readOutput } from "./output-source.js";

/** An attempt that ended with 6 bytes of output and 9 of structured output. */
function ended(t: TestContext, fileSuffix: string) {
  const { folders, remove } = temporaryFolders();
  t.after(remove);
  mkdirSync(recordFolderOf(folders, testKey(1)), { recursive: true });
  const entry: JournalEntry = {
    ...{ key: testKey(1), command: {}, receivedAtMs: 0, cancel: null, start: null, fileSuffix },
    ...{ state: "ENDED", acknowledgedAtMs: null, result: null },
  };
  const bytes = { stdoutBytes: 6, stderrBytes: 6, structuredOutBytes: 9 };
  const result = { ...neverStartedResult(entry), ...bytes };
  const read = (stream: typeof STDOUT | typeof STDERR | typeof STRUCTURED, running = false) =>
    readOutput(folders, () => ({ ...entry, result: running ? null : result }), {
      ...{ stream, offset: 0, most: 100, cap: 1_000 },
    }).then(String);
  return { folders, read };
}

test("files that get their other names a moment after the journal said so are waited for", async (t) => {
  const { folders, read } = ended(t, ".0");
  const [from, to] = [dataFiles(folders, "1"), dataFiles(folders, "1", ".0")];
  writeFileSync(from.stdout, "output");
  writeFileSync(from.structuredOut, '{"a":"b"}');
  const reading = Promise.all([read(STDOUT), read(STRUCTURED)]);
  setTimeout(() => {
    renameSync(from.stdout, to.stdout);
    renameSync(from.structuredOut, to.structuredOut);
  }, 150);
  assert.deepEqual(await reading, ["output", '{"a":"b"}']);
});

test("what is not there at all is filled up, and JSON stays JSON", async (t) => {
  const { read } = ended(t, "");
  assert.equal(await read(STDERR), "\0".repeat(6));
  assert.equal(await read(STRUCTURED), "{}       ");
});

test("of a command that runs and has not its file names yet nothing is read: they are a former attempt's", async (t) => {
  const { folders, read } = ended(t, "");
  writeFileSync(dataFiles(folders, "1").stdout, "the former attempt's");
  rmSync(recordFolderOf(folders, testKey(1)), { recursive: true });
  assert.equal(await read(STDOUT, true), "");
});

test("what was read by a name that became another attempt's meanwhile is read again", async (t) => {
  const { folders } = ended(t, "");
  const [from, to] = [dataFiles(folders, "1"), dataFiles(folders, "1", ".0")];
  writeFileSync(from.stdout, "later!");
  writeFileSync(to.stdout, "former");
  for (const running of [true, false]) {
    let looks = 0;
    const untilMoved = running ? 1 : 2;
    const bytes = { stdoutBytes: 6, stderrBytes: 6, structuredOutBytes: 9 };
    const result = running ? null : { ...neverStartedResult(entryOf()), ...bytes };
    const current = () => ({ ...entryOf(), result, fileSuffix: looks++ < untilMoved ? "" : ".0" });
    const read = await readOutput(folders, current, {
      ...{ stream: STDOUT, offset: 0, most: 100, cap: 1_000 },
    });
    assert.equal(String(read), "former", `running ${running}`);
  }
});

test("while a command runs only what is stored in any case is read", async (t) => {
  const { folders, read } = ended(t, "");
  assert.equal(await read(STDOUT, true), "");
  writeFileSync(dataFiles(folders, "1").stdout, "x".repeat(2_000));
  assert.equal((await read(STDOUT, true)).length, 100);
  assert.equal(await read(STRUCTURED, true), "");
  const all = await readOutput(folders, () => ({ ...entryOf(), fileSuffix: "" }), {
    stream: STDOUT,
    offset: 400,
    most: 10_000,
    cap: 1_000,
  });
  assert.equal(all.length, 100);
});

function entryOf(): JournalEntry {
  return {
    ...{ key: testKey(1), command: {}, receivedAtMs: 0, cancel: null, start: null },
    ...{ state: "RUNNING", acknowledgedAtMs: null, result: null, fileSuffix: "" },
  };
}
