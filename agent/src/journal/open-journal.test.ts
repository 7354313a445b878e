import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { AgentFolders } from "../folders.js";
import { bootId, uptimeMs } from "../process-table.js";
import { silent, temporaryFolders, testKey, until } from "../testing/test-agent.js";
import type { CommandResult } from "./entry.js";
import type { Journal } from "./journal.js";
import { JournalDamagedError, openJournal } from "./open-journal.js";
import { scanJournal } from "./record-lines.js";

const completed: CommandResult = {
  status: "COMPLETED",
  exitCode: 0,
  reason: "",
  started: true,
  tries: 1,
  startedAtMs: 1,
  endedAtMs: 2,
  startedUptimeMs: 1,
  endedUptimeMs: 2,
  bootId: "boot",
  stdoutBytes: 3,
  stderrBytes: 0,
  structuredOutBytes: 2,
};

describe("openJournal()", () => {
  let folders: AgentFolders;
  let remove: () => void;
  let path: string;
  beforeEach(() => {
    ({ folders, remove } = temporaryFolders());
    path = join(folders.journal, "journal");
  });
  afterEach(() => remove());

  /** Opens, does `work`, closes. */
  async function withJournal<T>(
    work: (journal: Journal) => Promise<T>,
    now = Date.now,
  ): Promise<T> {
    const journal = await openJournal(folders, silent, { now });
    try {
      return await work(journal);
    } finally {
      await journal.close();
    }
  }

  it("keeps ids, commands, cancels, results and acknowledgements over a restart", async () => {
    const before = await withJournal(async (journal) => {
      await journal.accept(testKey(1), { role: "A" });
      await journal.started(testKey(1));
      await journal.ended(testKey(1), completed);
      await journal.acknowledged(testKey(1));
      await journal.accept(testKey(2), { role: "B" });
      await journal.tombstone(testKey(2), "no more");
      return { ids: [journal.journalId, journal.agentId], entries: journal.entries() };
    });
    await withJournal(async (journal) => {
      assert.deepEqual([journal.journalId, journal.agentId], before.ids);
      assert.deepEqual(journal.entries(), before.entries);
      assert.equal(journal.entry(testKey(2))?.cancel?.reason, "no more");
    });
  });

  it("answers known for a repeat, also after a restart and while the first is being written", async () => {
    await withJournal(async (journal) => {
      const answers = [journal.accept(testKey(1), {}), journal.accept(testKey(1), {})];
      assert.deepEqual(await Promise.all(answers), ["accepted", "known"]);
    });
    await withJournal(async (journal) => {
      assert.equal(await journal.accept(testKey(1), {}), "known");
    });
  });

  it("refuses the next attempt until this one has ended, and an earlier one for ever", async () => {
    await withJournal(async (journal) => {
      await journal.accept(testKey(1, 1), {});
      assert.equal(await journal.accept(testKey(1, 2), {}), "attempt-alive");
      await journal.started(testKey(1, 1));
      assert.equal(await journal.accept(testKey(1, 2), {}), "attempt-alive");
      await journal.ended(testKey(1, 1), completed);
      assert.equal(await journal.accept(testKey(1, 3), {}), "accepted");
      assert.equal(await journal.accept(testKey(1, 2), {}), "superseded");
      assert.equal(await journal.accept({ ...testKey(1), storeId: "other" }, {}), "accepted");
    });
  });

  it("records a cancel that came before its command, over a restart, and never runs it", async () => {
    await withJournal((journal) => journal.tombstone(testKey(7), "too late"));
    await withJournal(async (journal) => {
      assert.equal(await journal.accept(testKey(7), {}), "cancelled");
      const entry = journal.entry(testKey(7));
      assert.equal(entry?.state, "ENDED");
      assert.equal(entry?.result?.status, "ABORTED");
      assert.equal(entry?.result?.started, false);
      assert.equal(entry?.result?.reason, "too late");
    });
  });

  it("shares a sync among commands accepted together", async () => {
    await withJournal(async (journal) => {
      const before = journal.syncs();
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, task) => journal.accept(testKey(task), { task })),
      );
      assert.ok(answers.every((answer) => answer === "accepted"));
      const syncs = journal.syncs() - before;
      assert.ok(syncs >= 1 && syncs < 20, `${syncs} syncs for 200 commands`);
    });
  });

  it("answers only when the record is written and synced", async () => {
    let release: (() => void) | undefined;
    const sync = () => new Promise<void>((resolve) => (release = resolve));
    const journal = await openJournal(folders, silent, { sync });
    const calls: (() => Promise<unknown>)[] = [
      () => journal.accept(testKey(1), { role: "A" }),
      () => journal.started(testKey(1)),
      () => journal.ended(testKey(1), completed),
    ];
    for (const [index, call] of calls.entries()) {
      let answered = false;
      const answer = call().then(() => {
        answered = true;
      });
      await until(() => release, "the sync to begin");
      assert.equal(scanJournal(readFileSync(path)).records.length, index + 2);
      assert.equal(answered, false);
      release?.();
      release = undefined;
      await answer;
    }
    await journal.close();
  });

  it("says for ever that it is broken once a sync has failed", async () => {
    const sync = () => Promise.reject(new Error("EIO: i/o error"));
    const journal = await openJournal(folders, silent, { sync });
    const refused = { name: "JournalBrokenError", message: /EIO.*start the agent again/ };
    await assert.rejects(journal.accept(testKey(1), {}), refused);
    await assert.rejects(journal.accept(testKey(2), {}), refused);
    await assert.rejects(journal.tombstone(testKey(3), ""), refused);
    await journal.close();
    await withJournal((again) => again.accept(testKey(4), {}));
  });

  it("recovers from a tail torn at any byte, cut off or zeroed, with all records before it", async () => {
    await withJournal(async (journal) => {
      await journal.accept(testKey(1), { role: "A" });
      await journal.ended(testKey(1), completed);
      await journal.accept(testKey(2), { role: "the last one" });
    });
    const whole = readFileSync(path);
    const scan = scanJournal(whole);
    const lines = whole.toString("utf8", 0, scan.endOffset).trimEnd().split("\n");
    const lastOffset = scan.endOffset - Buffer.byteLength(`${lines.at(-1)}\n`);
    const warnings: string[] = [];
    const log = Object.assign(silent.child({}), {
      warn: (_: unknown, text: string) => warnings.push(text),
    });
    for (let offset = lastOffset + 1; offset < scan.endOffset; offset++) {
      for (const torn of [
        whole.subarray(0, offset),
        Buffer.concat([whole.subarray(0, offset), Buffer.alloc(whole.length - offset)]),
      ]) {
        writeFileSync(path, torn);
        const journal = await openJournal(folders, log);
        assert.equal(journal.entry(testKey(1))?.result?.status, "COMPLETED");
        assert.equal(journal.entry(testKey(2)), undefined, `offset ${offset}`);
        assert.equal(await journal.accept(testKey(3), {}), "accepted");
        await journal.close();
        assert.equal(scanJournal(readFileSync(path)).tail, "clean");
      }
    }
    assert.equal(warnings.length, 2 * (scan.endOffset - lastOffset - 1));
  });

  it("takes a later page of an unfinished write without an earlier one for a torn tail", async () => {
    await withJournal((journal) => journal.accept(testKey(1), {}));
    const { endOffset } = scanJournal(readFileSync(path));
    await withJournal((journal) =>
      Promise.all([2, 3].map((task) => journal.accept(testKey(task), {}))),
    );
    const bytes = readFileSync(path);
    bytes.fill(0, endOffset, endOffset + 10); // of one write, the beginning never reached the disk
    writeFileSync(path, bytes);
    await withJournal(async (journal) => {
      assert.equal(journal.entries().length, 1);
    });
  });

  it("says where the file is damaged when safe records follow, and leaves it alone", async () => {
    await withJournal(async (journal) => {
      for (const task of [1, 2, 3]) await journal.accept(testKey(task), { task });
    });
    const bytes = readFileSync(path);
    const offset = bytes.indexOf('"task":2');
    bytes.write("rubbish!", offset);
    writeFileSync(path, bytes);
    const line = bytes.lastIndexOf("\n", offset) + 1;
    await assert.rejects(openJournal(folders, silent), (error: Error) => {
      assert.ok(error instanceof JournalDamagedError);
      assert.ok(error.message.includes(path) && error.message.includes(`offset ${line}`));
      return true;
    });
    assert.deepEqual(readFileSync(path), bytes);
  });

  it("sets a file aside of which nothing can be read, and begins anew as the same agent", async () => {
    const ids = await withJournal(async (journal) => [journal.journalId, journal.agentId]);
    writeFileSync(path, Buffer.alloc(5_000, 7));
    await withJournal(async (journal) => {
      assert.notEqual(journal.journalId, ids[0]);
      assert.equal(journal.agentId, ids[1]);
    });
    assert.ok(readdirSync(folders.journal).some((name) => name.includes("unreadable")));
  });

  it("grows by whole chunks of zeros, and shrinks when most of it is history", async () => {
    const options = { chunkBytes: 64 * 1024, compactAtBytes: 128 * 1024 };
    const journal = await openJournal(folders, silent, options);
    for (let task = 0; task < 400; task++) {
      await journal.accept(testKey(task), { filler: "x".repeat(2_000) });
      await journal.ended(testKey(task), completed);
      await journal.acknowledged(testKey(task));
    }
    await journal.close();
    assert.ok(statSync(path).size < 800_000, `${statSync(path).size} bytes`);
    const again = await openJournal(folders, silent, options);
    assert.equal(again.entries().length, 400);
    assert.equal(again.entry(testKey(0))?.result?.status, "COMPLETED");
    assert.equal(again.entry(testKey(0))?.command, null);
    assert.equal(await again.accept(testKey(0), {}), "known");
    await again.close();
  });

  it("keeps a result of this boot, whatever the wall clock was set to meanwhile", async () => {
    const ended = { ...completed, bootId: bootId(), endedUptimeMs: uptimeMs() };
    const daysAgo = 20 * 24 * 3_600_000;
    await withJournal(
      async (journal) => {
        await journal.accept(testKey(1), {});
        await journal.ended(testKey(1), ended);
        await journal.acknowledged(testKey(1));
      },
      () => Date.now() - daysAgo,
    );
    await withJournal(async (journal) => assert.equal(journal.entries().length, 1));
  });

  it("drops acknowledged results and unused tombstones after seven days, nothing else", async () => {
    await withJournal(async (journal) => {
      await journal.accept(testKey(1), {});
      await journal.ended(testKey(1), completed);
      await journal.acknowledged(testKey(1));
      await journal.accept(testKey(2), {});
      await journal.ended(testKey(2), completed);
      await journal.tombstone(testKey(3), "never came");
    });
    const day = 24 * 3_600_000;
    await withJournal(
      async (journal) => assert.equal(journal.entries().length, 2),
      () => Date.now() + 6.9 * day,
    );
    const forgotten: string[] = [];
    const journal = await openJournal(folders, silent, {
      now: () => Date.now() + 7.1 * day,
      onForgotten: (keys) => forgotten.push(...keys.map(({ taskId }) => taskId)),
    });
    assert.deepEqual(forgotten, ["1"]);
    assert.deepEqual(
      journal.entries().map(({ key }) => key.taskId),
      ["2"],
    );
    assert.equal(await journal.accept(testKey(3), {}), "accepted");
    await journal.close();
  });

  it("keeps at most what fits the promised room of a reason", async () => {
    await withJournal(async (journal) => {
      await journal.accept(testKey(1), {});
      await journal.tombstone(testKey(1), "\u0000".repeat(100_000));
      const reason = "\u0001".repeat(100_000);
      await journal.ended(testKey(1), { ...completed, status: "ABORTED", reason });
      assert.equal(journal.entry(testKey(1))?.cancel?.reason.length, 300);
      assert.equal(journal.entry(testKey(1))?.result?.reason.length, 300);
    });
  });
});
