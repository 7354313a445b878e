import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { Writable } from "node:stream";
import { test } from "node:test";
import { pino } from "pino";
import { temporaryFolders } from "../testing/test-agent.js";
import { dataFiles } from "./data-files.js";
import { logOutput, maskPasswords } from "./log-output.js";

test("passwords are masked as scripts print them", () => {
  const cases = [
    ["{'db_password': 'secret', 'a': 'b'}", "{'db_password': '[PROTECTED]', 'a': 'b'}"],
    ['{"my.Password.x": "s\\"ecret"}', '{"my.Password.x": "[PROTECTED]"}'],
    ["mysql --passwd=secret -u x", "mysql --passwd=[PROTECTED] -u x"],
    ["password policy: long", "password policy: long"],
  ];
  for (const [text = "", masked] of cases) assert.equal(maskPasswords(text), masked);
});

test("what a command wrote goes to the log in pieces, the end of it", (t) => {
  const { folders, remove } = temporaryFolders();
  t.after(remove);
  const files = dataFiles(folders, "1");
  writeFileSync(files.stdout, `begin${"x".repeat(1_000_000)}end`);
  writeFileSync(files.stderr, "password=abc");
  const lines: { stream: string; output: string }[] = [];
  const stream = new Writable({
    write(chunk, _, done) {
      lines.push(JSON.parse(String(chunk)));
      done();
    },
  });
  logOutput(files, pino(stream));
  const textOf = (name: string) =>
    lines.flatMap((line) => (line.stream === name ? line.output : [])).join("");
  assert.equal(textOf("stdout").length, 900_000);
  assert.ok(textOf("stdout").endsWith("xend"));
  assert.equal(textOf("stderr"), "password=[PROTECTED]");
  assert.ok(lines.every(({ output }) => output.length <= 7_900));
  logOutput(dataFiles(folders, "2"), pino({ level: "silent" }));
});
