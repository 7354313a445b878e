import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { readJournal } from "./read-journal.js";
import { readScriptLog } from "./read-script-log.js";

let dir = "";
before(() => {
  dir = mkdtempSync(join(tmpdir(), "howdah-collect-"));
});
after(() => rmSync(dir, { recursive: true, force: true }));

const key = { storeId: "s", taskId: "12", attempt: 1 };
const result = {
  ...{ status: "FAILED", exitCode: 3, reason: "", started: true, tries: 2, bootId: "b" },
  ...{ startedAtMs: 1, endedAtMs: 2, startedUptimeMs: 100, endedUptimeMs: 190 },
  ...{ stdoutBytes: 5, stderrBytes: 0, structuredOutBytes: 0 },
};
const entry = {
  ...{ key, command: {}, receivedAtMs: 0, state: "RECEIVED", start: null, cancel: null },
  ...{ result: null, acknowledgedAtMs: null, fileSuffix: "" },
};

function journalFile(name: string, records: readonly object[], tail: string): string {
  const lines = records.map((record, i) => {
    const number = String(i + 1).padStart(12, "0");
    return `00000000 ${number} ${number} ${JSON.stringify(record)}\n`;
  });
  const path = join(dir, name);
  writeFileSync(path, Buffer.concat([Buffer.from(lines.join("") + tail), Buffer.alloc(100)]));
  return path;
}

describe("readJournal", () => {
  it("puts an attempt together from its records, and passes over a line that was not finished", () => {
    const path = journalFile(
      "journal",
      [
        { type: "journal", journalId: "j", agentId: "a" },
        { type: "entry", entry },
        { type: "start", key, start: {} },
        { type: "cancel", key, cancel: {} },
        { type: "end", key, result },
        { type: "acknowledged", key, atMs: 9 },
        { type: "cancel", key: { ...key, taskId: "99" }, cancel: {} },
      ],
      "00000000 000000000008 0000000",
    );
    assert.deepEqual(readJournal("host1", path), {
      host: "host1",
      journalId: "j",
      entries: [
        {
          ...{ storeId: "s", taskId: 12, attempt: 1, state: "ENDED" },
          ...{ cancelled: true, acknowledged: true },
          result: {
            ...{ status: "FAILED", exitCode: 3, started: true, tries: 2 },
            ...{ startedMs: 100, endedMs: 190, stdoutBytes: 5 },
          },
        },
      ],
    });
  });

  it("reads a journal that was rewritten, whose entries are whole", () => {
    const whole = { ...entry, state: "ENDED", result, acknowledgedAtMs: 9 };
    const path = journalFile("rewritten", [{ type: "entry", entry: whole }], "");
    const [read] = readJournal("host1", path).entries;
    assert.equal(read?.state, "ENDED");
    assert.equal(read?.acknowledged, true);
    assert.equal(read?.result?.exitCode, 3);
  });

  it("is empty where no agent has been", () => {
    assert.deepEqual(readJournal("host1", join(dir, "none")).entries, []);
  });
});

describe("readScriptLog", () => {
  it("reads starts and ends", () => {
    const path = join(dir, "script.log");
    writeFileSync(
      path,
      "start s-1:12:3 2.script 100.25 77\nend s-1:12:3 2.script 100.5 4 200\nend s-1:12:3 ? 101 0 ?\n",
    );
    const line = { host: "host1", storeId: "s-1", taskId: 12, attempt: 3 };
    assert.deepEqual(readScriptLog("host1", path), [
      { ...line, kind: "start", step: "2.script", atMs: 100_250 },
      { ...line, kind: "end", step: "2.script", atMs: 100_500, exitCode: 4, lines: 200 },
      { ...line, kind: "end", step: "?", atMs: 101_000, exitCode: 0 },
    ]);
  });

  it("refuses a line that no script writes", () => {
    const path = join(dir, "bad.log");
    writeFileSync(path, "start s:12:3 1.scristart s:13:1 1.script 1.5 7\n");
    assert.throws(() => readScriptLog("host1", path), /is no line of a script/);
  });
});
