import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { AgentFolders } from "../folders.js";
import type { CommandResult } from "../journal/entry.js";
import type { Journal } from "../journal/journal.js";
import { openJournal } from "../journal/open-journal.js";
import { autoFiles, autoKey } from "../recovery/auto-files.js";
import { dataFiles } from "../run/data-files.js";
import { recordFolderOf } from "../run/record-folders.js";
import { silent, temporaryFolders, testKey, textOf, until } from "../testing/test-agent.js";
import { cleanData, type DataCleaned } from "./clean-data.js";

const day = 86_400_000;
const never = new AbortController().signal;

interface Place {
  readonly folders: AgentFolders;
  readonly journal: Journal;
  /** Writes a file of a task as it was left so many days ago. */
  write(path: string, daysAgo: number, bytes?: number): void;
  clean(maxBytes?: number, signal?: AbortSignal): Promise<DataCleaned>;
  /** The names of the tasks' files in data/. */
  left(): string[];
}

async function place(t: TestContext): Promise<Place> {
  const { folders, remove } = temporaryFolders();
  const journal = await openJournal(folders, silent);
  t.after(async () => {
    await journal.close();
    remove();
  });
  return {
    folders,
    journal,
    write(path, daysAgo, bytes = 1_000) {
      writeFileSync(path, "x".repeat(bytes));
      const seconds = (Date.now() - daysAgo * day) / 1_000;
      utimesSync(path, seconds, seconds);
    },
    clean: (maxBytes = 1e9, signal = never) =>
      cleanData({ folders, journal, log: silent, maxAgeMs: 30 * day, maxBytes }, signal),
    left: () =>
      readdirSync(folders.data)
        .filter((name) => /[0-9]/.test(name))
        .sort(),
  };
}

const result: CommandResult = {
  ...{ status: "COMPLETED", exitCode: 0, reason: "", started: true, tries: 1 },
  ...{ startedAtMs: 1, endedAtMs: 2, startedUptimeMs: 1, endedUptimeMs: 2, bootId: "b" },
  ...{ stdoutBytes: 0, stderrBytes: 0, structuredOutBytes: 2 },
};

test("what is older than the age goes, of former attempts too, and nothing else", async (t) => {
  const { folders, write, clean, left } = await place(t);
  for (const path of Object.values(dataFiles(folders, "1"))) write(path, 31);
  for (const path of Object.values(dataFiles(folders, "1", ".0"))) write(path, 31);
  write(join(folders.data, "command-1.json.new"), 31);
  for (const path of Object.values(dataFiles(folders, "2"))) write(path, 29);
  const others = ["status_command_1.json", "hostcheck.result.1", "x-output-1.txt", "output-a1.txt"];
  for (const name of others) write(join(folders.data, name), 400);
  write(join(folders.journal, "output-1.txt"), 400);
  mkdirSync(join(folders.data, "output-3.txt"));
  const { removed, removedBytes, leftBytes } = await clean();
  assert.deepEqual(
    { removed, removedBytes, leftBytes },
    {
      removed: 9,
      removedBytes: 9_000,
      leftBytes: 4_000,
    },
  );
  assert.deepEqual(
    left(),
    [
      ...["command-2.json", "errors-2.txt", "output-2.txt", "structured-out-2.json"],
      ...["output-3.txt", ...others],
    ].sort(),
  );
  assert.equal(textOf(join(folders.journal, "output-1.txt")).length, 1_000);
});

test("what is too much goes oldest first, until it is little enough", async (t) => {
  const { folders, write, clean, left } = await place(t);
  for (let task = 1; task <= 100; task += 1) {
    write(dataFiles(folders, String(task)).stdout, task / 10, 1_000);
  }
  const { removed, leftBytes } = await clean(40_500);
  assert.deepEqual({ removed, leftBytes }, { removed: 60, leftBytes: 40_000 });
  const oldest = Math.max(...left().map((name) => Number(/[0-9]+/.exec(name))));
  assert.equal(oldest, 40);
});

test("what is unfinished, not acknowledged, or acknowledged of late stays, however old and big", async (t) => {
  const { folders, journal, write, clean, left } = await place(t);
  for (const task of [1, 2, 3, 4, 5]) {
    for (const path of Object.values(dataFiles(folders, String(task)))) write(path, 400);
    write(dataFiles(folders, String(task), ".0").stdout, 400);
  }
  for (const task of [1, 2, 3, 4]) await journal.accept(testKey(task), {});
  for (const task of [2, 3, 4]) await journal.started(testKey(task));
  for (const task of [3, 4]) await journal.ended(testKey(task), result);
  await journal.acknowledged(testKey(4));
  const { removed, leftBytes } = await clean(1);
  assert.deepEqual({ removed, leftBytes }, { removed: 5, leftBytes: 20_000 });
  assert.ok(left().every((name) => !name.includes("-5.")));
});

test("seven days after its acknowledgement a task's files are nobody's any more", async (t) => {
  const { folders, journal, write } = await place(t);
  for (const task of [1, 2]) {
    await journal.accept(testKey(task), {});
    await journal.ended(testKey(task), result);
    write(dataFiles(folders, String(task)).stdout, 0);
  }
  await journal.acknowledged(testKey(1));
  const cleanAfter = (days: number) =>
    cleanData(
      {
        ...{ folders, journal, log: silent, maxAgeMs: 30 * day, maxBytes: 0 },
        now: () => Date.now() + days * day,
      },
      never,
    );
  assert.equal((await cleanAfter(6.9)).removed, 0);
  assert.equal((await cleanAfter(7.1)).removed, 1);
  assert.equal(textOf(dataFiles(folders, "2").stdout).length, 1_000);
});

test("a command that comes while it cleans keeps the files it finds under its number", async (t) => {
  const { folders, journal, write, clean, left } = await place(t);
  // The oldest go first.
  for (let task = 1; task <= 400; task += 1) {
    write(dataFiles(folders, String(task)).stdout, 500 - task / 10);
  }
  const cleaning = clean();
  while (left().length === 400) await turn(); // a look between any two goes
  const late = left().map((name) => Number(/[0-9]+/.exec(name)));
  assert.ok(late.length > 100, `${late.length} are left`);
  await Promise.all([...late.map((task) => journal.accept(testKey(task), {})), cleaning]);
  assert.equal(left().length, late.length);
});

test("what runs although its journal was lost keeps its files; other records of lost journals go", async (t) => {
  const { folders, write, clean, left } = await place(t);
  let child: ChildProcess | undefined;
  for (const task of [1, 2]) {
    const folder = recordFolderOf(folders, testKey(task));
    mkdirSync(folder);
    if (task === 1) {
      const record = join(folder, "1.script.record");
      child = spawn("/bin/sh", [folders.supervisor, record, "sleep", "60"], { detached: true });
      await until(() => textOf(record) !== "", "the step's record");
    }
    const seconds = Date.now() / 1_000 - 31 * 86_400;
    utimesSync(folder, seconds, seconds);
    write(dataFiles(folders, String(task)).stdout, 31);
  }
  t.after(async () => {
    if (child?.pid === undefined) return;
    process.kill(-child.pid, "SIGKILL");
    await once(child, "exit");
  });
  await clean();
  assert.deepEqual(left(), ["output-1.txt"]);
  assert.equal(readdirSync(folders.steps).length, 1);
});

test("files of what the agent ran by itself go as those of tasks, but not while it runs", async (t) => {
  const { folders, write, clean, left, journal } = await place(t);
  for (const number of [1, 2]) {
    for (const path of Object.values(autoFiles(folders, number))) write(path, 31);
  }
  // A task of the same number is another thing.
  await journal.accept(testKey(1), { spec: {} });
  write(dataFiles(folders, "2").stdout, 31);
  const folder = recordFolderOf(folders, autoKey(2));
  mkdirSync(folder);
  const record = join(folder, "1.script.record");
  const child = spawn("/bin/sh", [folders.supervisor, record, "sleep", "60"], { detached: true });
  t.after(async () => {
    process.kill(-Number(child.pid), "SIGKILL");
    await once(child, "exit");
  });
  await until(() => textOf(record) !== "", "the step's record");
  await clean();
  assert.deepEqual(left(), [
    ...["auto_command-2.json", "auto_errors-2.txt", "auto_output-2.txt"],
    "auto_structured-out-2.json",
  ]);
});

test("it ends when it is told to", async (t) => {
  const { folders, write, clean, left } = await place(t);
  for (let task = 1; task <= 100; task += 1) write(dataFiles(folders, String(task)).stdout, 50);
  const stop = new AbortController();
  const cleaning = clean(1e9, stop.signal);
  stop.abort(new Error("the agent stops"));
  await assert.rejects(cleaning, /the agent stops/);
  assert.ok(left().length > 0);
});
