import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import {
  type UploadOutputRequest,
  UploadOutputResponseSchema,
} from "@howdah/proto/howdah/v1/agent_service";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import { openJournal } from "../journal/open-journal.js";
import { dataFiles } from "../run/data-files.js";
import { neverStartedResult } from "../run/run-command.js";
import { silent, temporaryFolders, testKey, until } from "../testing/test-agent.js";
import { testStore } from "../testing/test-store.js";
import { fileOutput } from "./attempt-output.js";
import { createOutputUploads } from "./output-uploads.js";

/** A journal with ended attempts that wrote `bytes` each, and a session whose server answers when told. */
async function uploadsOf(t: TestContext, count: number, bytes: number) {
  const { folders, remove } = temporaryFolders();
  const journal = await openJournal(folders, silent);
  const over = new AbortController();
  t.after(async () => {
    over.abort();
    await journal.close();
    remove();
  });
  const entries = await Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const key = testKey(at + 1);
      await journal.accept(key, {});
      await journal.started(key);
      const entry = journal.entry(key);
      assert.ok(entry);
      writeFileSync(dataFiles(folders, key.taskId).stdout, Buffer.alloc(bytes, "x"));
      await journal.ended(key, { ...neverStartedResult(entry), stdoutBytes: bytes });
      return journal.entry(key) ?? entry;
    }),
  );
  const waiting: { request: UploadOutputRequest; answer(): void }[] = [];
  const stored = new Map<bigint, number>();
  const truth = { told: true };
  const uploads = createOutputUploads({
    ...{ journal, output: fileOutput(folders, silent), log: silent, signal: over.signal },
    session: { storeId: testStore, hostId: 1n, sessionEpoch: 1n, outputCap: 1 << 30 },
    stream: {
      append: (request) =>
        new Promise((resolve) => {
          const { taskId, attempt, chunk } = request;
          const answer = () => {
            waiting.splice(waiting.indexOf(one), 1);
            const added = truth.told ? (chunk?.data.length ?? 0) : 0;
            const length = (stored.get(taskId) ?? 0) + added;
            stored.set(taskId, length);
            const stream = chunk?.stream ?? 0;
            const fields = { taskId, attempt, stream, length: BigInt(length), refused: "" };
            resolve(create(UploadOutputResponseSchema, fields));
          };
          const one = { request, answer };
          waiting.push(one);
        }),
    },
    onJournalError: (error) => {
      throw error;
    },
  });
  return { journal, folders, entries, uploads, waiting, stored, truth };
}

test("at most four pieces are under way, and one of a stream", async (t) => {
  const { journal, entries, uploads, waiting } = await uploadsOf(t, 10, 600_000);
  // Twice: what is told of again is not uploaded beside itself.
  for (const entry of [...entries, ...entries]) uploads.reportStored(entry, []);
  const done = () => journal.entries().every(({ acknowledgedAtMs }) => acknowledgedAtMs !== null);
  let most = 0;
  await until(() => {
    most = Math.max(most, waiting.length);
    const tasks = waiting.map(({ request }) => request.taskId);
    assert.equal(new Set(tasks).size, tasks.length, String(tasks));
    waiting[0]?.answer();
    return done();
  }, "all of it");
  assert.equal(most, 4);
});

test("the next piece begins where the server says it ends", async (t) => {
  const { journal, entries, uploads, waiting, stored } = await uploadsOf(t, 1, 600_000);
  const [entry] = entries;
  assert.ok(entry);
  stored.set(1n, 500_000);
  const stdout = { stream: OutputStream.STDOUT, length: 500_000n };
  uploads.reportStored(entry, [{ $typeName: "howdah.v1.OutputPosition", ...stdout }]);
  const one = await until(() => waiting[0], "a piece");
  assert.equal(one.request.chunk?.offset, 500_000n);
  assert.equal(one.request.chunk?.data.length, 100_000);
  assert.equal(journal.entry(entry.key)?.acknowledgedAtMs, null);
  one.answer();
  await until(() => journal.entry(entry.key)?.acknowledgedAtMs, "the acknowledgement");
});

test("the server is not asked what it has of a stream that is empty", async (t) => {
  const { journal, entries, uploads, waiting } = await uploadsOf(t, 1, 1_000);
  const [entry] = entries;
  assert.ok(entry);
  const asked: (OutputStream | undefined)[] = [];
  const answerAll = () => {
    for (const { request, answer } of [...waiting]) {
      asked.push(request.chunk?.stream);
      answer();
    }
  };
  // Of an attempt that a former session knew nothing is known of what the server has.
  uploads.follow(entry, false);
  await until(() => waiting.length === 2, "what may be written meanwhile is asked for");
  answerAll();
  uploads.reportStored(entry, []);
  await until(() => {
    answerAll();
    return journal.entry(entry.key)?.acknowledgedAtMs;
  }, "the acknowledgement");
  assert.ok(!asked.includes(OutputStream.STRUCTURED), String(asked));
});

test("small output travels with the report, unless its file is not what it was", async (t) => {
  const { folders, entries, uploads } = await uploadsOf(t, 2, 16_000);
  const [first, second] = entries;
  assert.ok(first && second);
  const { lengths, restEmpty, output } = uploads.withReport(first);
  // The other streams are empty, which is said once for all.
  assert.deepEqual([lengths.map(({ stream }) => stream), restEmpty], [[OutputStream.STDOUT], true]);
  assert.deepEqual(
    output.map(({ stream, offset, data }) => [stream, offset, data?.length]),
    [[OutputStream.STDOUT, 0n, 16_000]],
  );
  writeFileSync(dataFiles(folders, "2").stdout, "");
  assert.deepEqual(uploads.withReport(second).output, []);
});

test("output of more than 16 KiB does not travel with the report", async (t) => {
  const { entries, uploads } = await uploadsOf(t, 1, 16 * 1024 + 1);
  const [entry] = entries;
  assert.ok(entry);
  assert.deepEqual(uploads.withReport(entry).output, []);
});

test("attempts of another store are not uploaded", async (t) => {
  const { entries, uploads, waiting, journal } = await uploadsOf(t, 1, 1_000);
  const key = { storeId: "other", taskId: "5", attempt: 1 };
  await journal.accept(key, {});
  await journal.started(key);
  const other = journal.entry(key);
  assert.ok(other);
  uploads.follow(other, false);
  const [entry] = entries;
  assert.ok(entry);
  uploads.reportStored(entry, []);
  const one = await until(() => waiting[0], "a piece");
  assert.equal(one.request.taskId, 1n);
  one.answer();
  await until(() => journal.entry(entry.key)?.acknowledgedAtMs, "the acknowledgement");
  assert.equal(waiting.length, 0);
});

test("a server whose answers never move is asked ever less often, and believed again", async (t) => {
  const { journal, entries, uploads, waiting, truth } = await uploadsOf(t, 1, 100_000);
  const [entry] = entries;
  assert.ok(entry);
  truth.told = false;
  uploads.reportStored(entry, []);
  let asked = 0;
  const began = performance.now();
  await until(() => {
    asked += waiting.length;
    waiting[0]?.answer();
    return performance.now() - began > 1_000;
  }, "a second");
  assert.ok(asked >= 2 && asked <= 6, `asked ${asked} times in a second`);
  truth.told = true;
  await until(() => {
    waiting[0]?.answer();
    return journal.entry(entry.key)?.acknowledgedAtMs;
  }, "the acknowledgement");
});
