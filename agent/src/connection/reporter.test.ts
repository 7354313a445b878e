import assert from "node:assert/strict";
import { test } from "node:test";
import type { CommandReport } from "@howdah/proto/howdah/v1/agent_service";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import type { JournalEntry } from "../journal/entry.js";
import type { Journal } from "../journal/journal.js";
import { silent, testKey } from "../testing/test-agent.js";
import { testStore } from "../testing/test-store.js";
import type { OutputUploads } from "./output-uploads.js";
import { Reporter } from "./reporter.js";

const noUploads: OutputUploads = {
  follow: () => undefined,
  ended: () => undefined,
  withReport: () => ({ lengths: [], restEmpty: true, output: [] }),
  reportStored: () => undefined,
  forget: () => undefined,
};

function running(taskId: number): JournalEntry {
  return {
    ...{ key: testKey(taskId), command: {}, receivedAtMs: 4, cancel: null, result: null },
    ...{ state: "RUNNING", acknowledgedAtMs: null, fileSuffix: "" },
    start: { atMs: 5, uptimeMs: 5, bootId: "boot" },
  };
}

function completed(entry: JournalEntry): JournalEntry {
  const times = { startedAtMs: 5, endedAtMs: 6, startedUptimeMs: 5, endedUptimeMs: 6 };
  const bytes = { stdoutBytes: 0, stderrBytes: 0, structuredOutBytes: 2 };
  const result = { status: "COMPLETED", exitCode: 0, reason: "", started: true, tries: 1 } as const;
  return {
    ...entry,
    state: "ENDED",
    result: { ...result, ...times, ...bytes, bootId: "boot" },
  };
}

/** A reporter over a journal of the test's own. */
function reporterOf(
  entries: Map<string, JournalEntry>,
  written: Promise<void>,
  uploads: OutputUploads = noUploads,
) {
  const journal = {
    entries: () => [...entries.values()],
    entry: ({ taskId }: JournalEntry["key"]) => entries.get(taskId),
    ended: () => written,
  } as unknown as Journal;
  const messages: CommandReport[][] = [];
  const reporter = new Reporter(journal, silent);
  const connect = () =>
    reporter.connected({
      ...{ storeId: testStore, credit: 10, uploads },
      send: (reports) => messages.push(reports),
      stale: () => undefined,
    });
  return { reporter, messages, connect };
}

test("a start is reported when the command takes 50 ms, and not when it has ended before", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "setImmediate"] });
  const [short, long] = [running(1), running(2)];
  const entries = new Map<string, JournalEntry>();
  const { reporter, messages, connect } = reporterOf(entries, Promise.resolve());
  connect();
  for (const entry of [short, long]) {
    entries.set(entry.key.taskId, entry);
    reporter.started(entry);
  }
  t.mock.timers.tick(49);
  assert.deepEqual(messages, []);
  entries.set("1", completed(short));
  reporter.ended(completed(short));
  t.mock.timers.tick(10);
  assert.deepEqual(
    messages.flat().map(({ taskId, event, receivedAtMs }) => [taskId, event, receivedAtMs]),
    [
      [1n, TaskEvent.SUCCEEDED, 4n],
      [2n, TaskEvent.STARTED, 4n],
    ],
  );
});

test("a result that is not on disk yet is not reported on a new session", async () => {
  let wrote = () => {};
  const written = new Promise<void>((resolve) => {
    wrote = resolve;
  });
  const { messages, connect } = reporterOf(new Map([["1", completed(running(1))]]), written);
  connect();
  const turns = async () => {
    for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
  };
  await turns();
  assert.equal(messages.length, 0);
  wrote();
  await turns();
  assert.deepEqual(
    messages.flat().map(({ event }) => event),
    [TaskEvent.SUCCEEDED],
  );
});

/** What is sent on a new session when so many results wait, each with so many bytes of output: the tasks of each message. */
async function sentAtOnce(results: number, bytes: number): Promise<number[][]> {
  const entries = new Map(
    Array.from({ length: results }, (_, at) => [`${at + 1}`, completed(running(at + 1))]),
  );
  const output = [{ stream: OutputStream.STDOUT, offset: 0n, data: new Uint8Array(bytes) }];
  const withReport = () => ({ lengths: [], restEmpty: false, output });
  const uploads = { ...noUploads, withReport };
  const { messages, connect } = reporterOf(entries, Promise.resolve(), uploads);
  connect();
  for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
  return messages.map((reports) => reports.map(({ taskId }) => Number(taskId)));
}

test("results that wait together go in one message, as many as the credit allows", async () => {
  assert.deepEqual(await sentAtOnce(12, 10), [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]);
});

test("results with much output go in more messages than one", async () => {
  assert.deepEqual(await sentAtOnce(3, 128 * 1024), [[1, 2], [3]]);
});
