import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { StatusCommandSchema } from "@howdah/proto/howdah/v1/agent_service";
import { persistedMessage } from "../cluster-cache/persisted.js";
import type { AgentFolders } from "../folders.js";
import { openJournal } from "../journal/open-journal.js";
import { openPackageCache } from "../package-cache.js";
import { silent, temporaryFolders, testKey } from "../testing/test-agent.js";
import { digestsInUse } from "./digests-in-use.js";
import { pruneCache } from "./prune-cache.js";
import { createUseMarks } from "./use-marks.js";

const day = 86_400_000;
const never = new AbortController().signal;
const digestOf = (letter: string) => letter.repeat(64);

/** A cache with packages a, b, c … that were last used so many days ago, and the document f. */
async function place(t: TestContext, daysAgo: Record<string, number>) {
  const { folders, remove } = temporaryFolders();
  t.after(remove);
  const marks = createUseMarks();
  const cache = await openPackageCache(folders, () => assert.fail("fetched"), marks);
  for (const [letter, days] of Object.entries(daysAgo)) {
    const path = pathOf(folders, letter);
    if (letter === "f") writeFileSync(path, "{}");
    else {
      mkdirSync(path);
      writeFileSync(join(path, "run.sh"), "sleep 60\n");
    }
    const seconds = (Date.now() - days * day) / 1_000;
    utimesSync(path, seconds, seconds);
  }
  const prune = (inUse: string[] = [], by = marks) =>
    pruneCache({ folders, marks: by, maxAgeMs: 30 * day, inUse: new Set(inUse) }, never);
  return { folders, cache, prune };
}

function pathOf(folders: AgentFolders, letter: string): string {
  return letter === "f"
    ? join(folders.clusterCache, `${digestOf("f")}.json`)
    : join(folders.cache, "packages", digestOf(letter));
}

test("what nobody named for long goes, documents too; what was named of late stays", async (t) => {
  const { folders, prune } = await place(t, { a: 31, b: 29, f: 31 });
  writeFileSync(join(folders.clusterCache, "notes.txt"), "an operator's");
  utimesSync(join(folders.clusterCache, "notes.txt"), 1, 1);
  assert.deepEqual(await prune(), [digestOf("a"), digestOf("f")]);
  assert.deepEqual(readdirSync(join(folders.cache, "packages")), [digestOf("b")]);
  assert.deepEqual(readdirSync(folders.clusterCache), ["notes.txt"]);
  assert.deepEqual(readdirSync(join(folders.cache, "fetching")), []);
});

test("naming one keeps it, also in the eyes of the next agent", async (t) => {
  const { folders, cache, prune } = await place(t, { a: 31, c: 31 });
  await cache.folder(digestOf("a"), never);
  assert.deepEqual(await prune([], createUseMarks()), [digestOf("c")]);
  assert.ok(existsSync(pathOf(folders, "a")));
});

test("one that is asked for in the moment of pruning is not taken away", async (t) => {
  const { folders, cache, prune } = await place(t, { a: 31 });
  const asked = cache.folder(digestOf("a"), never);
  assert.deepEqual(await prune(), []);
  assert.equal(await asked, pathOf(folders, "a"));
  assert.ok(existsSync(pathOf(folders, "a")));
});

test("what is in use stays: by a command that has not ended, a process out of the package, what the server said last", async (t) => {
  const { folders, prune } = await place(t, { a: 31, b: 31, c: 31, d: 31, e: 31 });
  const said = persistedMessage(folders, "status_command", StatusCommandSchema, silent);
  const checks = [{ componentName: "NN", configurationsDigest: digestOf("e") }];
  said.keep({ storeId: "s", message: create(StatusCommandSchema, { checks }) });
  await said.written();
  const journal = await openJournal(folders, silent);
  t.after(() => journal.close());
  await journal.accept(testKey(1), { spec: { packageDigest: digestOf("a") } });
  const daemon = spawn("/bin/sh", [join(pathOf(folders, "b"), "run.sh")], { detached: true });
  const inside = spawn("sleep", ["60"], { cwd: pathOf(folders, "c") });
  await Promise.all([daemon, inside].map((child) => once(child, "spawn")));
  t.after(async () => {
    const gone = [daemon, inside].map((child) => once(child, "exit"));
    process.kill(-Number(daemon.pid), "SIGKILL");
    inside.kill("SIGKILL");
    await Promise.all(gone);
  });
  const inUse = digestsInUse(folders, journal);
  for (const name of ["a", "b", "c", "e"]) assert.ok(inUse.has(digestOf(name)), name);
  assert.deepEqual(await prune([...inUse]), [digestOf("d")]);
});

test("a mark is written to the disk once an hour at most", (t) => {
  const { folders, remove } = temporaryFolders();
  t.after(remove);
  let now = Date.now();
  const marks = createUseMarks(
    () => now,
    () => now,
  );
  marks.mark(folders.tmp);
  now += 30 * 60_000;
  marks.mark(folders.tmp);
  assert.equal(marks.idleMs(folders.tmp), 0);
  assert.ok(createUseMarks(() => now).idleMs(folders.tmp) >= 30 * 60_000);
  now += 31 * 60_000;
  marks.mark(folders.tmp);
  assert.ok(createUseMarks(() => now).idleMs(folders.tmp) < 1_000);
});

test("a wall clock that is set far ahead makes nothing old that was used since the start", async (t) => {
  const { folders, cache, prune } = await place(t, { a: 1, b: 1 });
  await cache.folder(digestOf("a"), never);
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() + 400 * day });
  assert.deepEqual(await prune(), [digestOf("b")]);
  assert.ok(existsSync(pathOf(folders, "a")));
});
