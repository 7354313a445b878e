import assert from "node:assert/strict";
import { describe, it } from "node:test";
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
