import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { createTimeNote, nowMs } from "./note-time.js";

it("should tell when a script ran, by the clock of this process", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "howdah-note-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const note = createTimeNote(join(dir, "notes"));
  const [file, ...args] = note.argv("one");
  const { signal } = new AbortController();
  const before = nowMs();
  const read = note.read("one", signal);
  const child = spawn(file, args, { stdio: "ignore" });
  const [code] = await once(child, "exit");
  const after = nowMs();
  assert.equal(code, 0);
  const at = await read;
  // Two clocks of one machine, read in other ways: they differ by less than this.
  assert.ok(at > before - 50 && at < after + 50, `${before} ${at} ${after}`);
});

it("should end with the reason of an interrupted run", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "howdah-note-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const interrupted = new AbortController();
  const reading = createTimeNote(dir).read("never", interrupted.signal);
  interrupted.abort();
  await assert.rejects(reading, { name: "AbortError" });
});
