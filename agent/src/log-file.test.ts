import assert from "node:assert/strict";
import { readdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type LogFile, openLogFile } from "./log-file.js";
import { temporaryFolders, textOf } from "./testing/test-agent.js";

function place(t: TestContext, maxBytes: number, maxFiles: number) {
  const { folders, remove } = temporaryFolders();
  t.after(remove);
  const path = join(folders.log, "a.log");
  const open = (): LogFile => {
    const file = openLogFile(path, { maxBytes, maxFiles });
    t.after(() => file.close());
    return file;
  };
  return { path, open, names: () => readdirSync(folders.log).sort() };
}

test("it begins anew at its size, and keeps so many former files, the latest first", (t) => {
  const { path, open, names } = place(t, 20, 2);
  const file = open();
  for (const letter of "abcdefg") file.write(`${letter.repeat(9)}\n`);
  assert.deepEqual(names(), ["a.log", "a.log.1", "a.log.2"]);
  const of = (letters: string) => [...letters].map((one) => `${one.repeat(9)}\n`).join("");
  assert.deepEqual([path, `${path}.1`, `${path}.2`].map(textOf), [of("g"), of("ef"), of("cd")]);
  file.write("a line longer than all\n");
  assert.equal(textOf(path), "a line longer than all\n");
});

test("without former files it is simply emptied; another process goes on where one ended", (t) => {
  const { path, open, names } = place(t, 20, 0);
  open().write("123456789\n");
  const second = open();
  second.write("abcdefghi\n");
  assert.equal(textOf(path), "123456789\nabcdefghi\n");
  second.write("x\n");
  assert.equal(textOf(path), "x\n");
  assert.deepEqual(names(), ["a.log"]);
});

test("moved away, it goes on in the former file until it is reopened, or looks", async (t) => {
  const { path, open } = place(t, 1_000, 5);
  const file = open();
  file.write("one\n");
  renameSync(path, `${path}.moved`);
  file.write("two\n");
  file.reopen();
  file.write("three\n");
  assert.deepEqual([textOf(`${path}.moved`), textOf(path)], ["one\ntwo\n", "three\n"]);
  rmSync(path);
  t.mock.method(performance, "now", () => 1e9);
  file.write("four\n");
  assert.equal(textOf(path), "four\n");
});

test("a full disk loses lines, tells how many, and ends nobody", (t) => {
  const { path, open } = place(t, 1_000, 5);
  const file = open();
  file.write("one\n");
  rmSync(path);
  symlinkSync("/dev/full", path);
  file.reopen();
  file.write("two\n");
  file.write("three\n");
  rmSync(path);
  file.reopen();
  file.write("four\n");
  const [told = "", last] = textOf(path).split("\n");
  assert.equal(JSON.parse(told).msg, "2 lines of this log could not be written (ENOSPC)");
  assert.equal(last, "four");
});
