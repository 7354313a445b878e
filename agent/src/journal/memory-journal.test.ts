import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TaskKey } from "../task-key.js";
import type { CommandResult } from "./entry.js";
import { memoryJournal } from "./memory-journal.js";

const keyOf = (taskId: number, attempt = 1) => ({ storeId: "s", taskId: String(taskId), attempt });
const result: CommandResult = {
  ...{ status: "COMPLETED", exitCode: 0, reason: "", started: true, tries: 1 },
  ...{ startedAtMs: 1, endedAtMs: 2, startedUptimeMs: 1, endedUptimeMs: 2, bootId: "none" },
  ...{ stdoutBytes: 0, stderrBytes: 0, structuredOutBytes: 0 },
};

describe("memoryJournal()", () => {
  it("should hold to the same contract as the one on disk", async () => {
    const journal = memoryJournal("agent");
    assert.equal(await journal.accept(keyOf(1), { a: 1 }), "accepted");
    assert.equal(await journal.accept(keyOf(1), { a: 1 }), "known");
    assert.equal(await journal.accept(keyOf(1, 2), {}), "attempt-alive");
    await journal.started(keyOf(1));
    await journal.ended(keyOf(1), result);
    assert.equal(await journal.accept(keyOf(1, 2), {}), "accepted");
    assert.equal(await journal.accept(keyOf(1), {}), "known");
    await journal.tombstone(keyOf(2), "enough");
    assert.equal(await journal.accept(keyOf(2), {}), "cancelled");
    assert.equal(journal.entry(keyOf(2))?.result?.status, "ABORTED");
    assert.notEqual(journal.journalId, memoryJournal("agent").journalId);
  });

  it("should know every attempt of a task's number, whichever store's, until it is forgotten", async () => {
    let now = 1_000_000;
    const journal = memoryJournal("agent", { keepMs: 1_000, now: () => now });
    const numbers = (taskId: string) =>
      journal.attempts(taskId).map(({ key }) => `${key.storeId}${key.attempt}`);
    const end = async (key: TaskKey) => {
      await journal.accept(key, {});
      await journal.ended(key, result);
      await journal.acknowledged(key);
    };
    await end(keyOf(1));
    await end(keyOf(1, 3));
    assert.equal(await journal.accept(keyOf(1, 2), {}), "superseded");
    now += 5_000;
    await end({ ...keyOf(1), storeId: "t" });
    assert.deepEqual(numbers("1"), ["s1", "s3", "t1"]);
    for (let task = 2; task < 350; task += 1) await end(keyOf(task));
    assert.deepEqual(numbers("1"), ["t1"]);
    now += 5_000;
    for (let task = 350; task < 700; task += 1) await end(keyOf(task));
    assert.deepEqual([numbers("1"), numbers("699")], [[], ["s1"]]);
    assert.equal(await journal.accept(keyOf(1, 2), {}), "accepted");
  });

  it("should forget what was acknowledged long enough ago, and nothing else", async () => {
    let now = 1_000_000;
    const journal = memoryJournal("agent", { keepMs: 1_000, now: () => now });
    const end = async (taskId: number) => {
      await journal.accept(keyOf(taskId), {});
      await journal.started(keyOf(taskId));
      await journal.ended(keyOf(taskId), result);
      await journal.acknowledged(keyOf(taskId));
    };
    await journal.accept(keyOf(1), {});
    await end(2);
    now += 5_000;
    for (let task = 3; task < 300; task += 1) await end(task);
    assert.equal(journal.entry(keyOf(2)), undefined);
    assert.equal(journal.entry(keyOf(1))?.state, "RECEIVED");
    assert.equal(journal.entry(keyOf(299))?.state, "ENDED");
  });
});
