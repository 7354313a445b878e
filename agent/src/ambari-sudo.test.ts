import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { temporaryFolders } from "./testing/test-agent.js";

const script = fileURLToPath(new URL("../ambari-sudo.sh", import.meta.url));

/** Calls the script as a user with that id, with a sudo that tells how it was called. */
function call(t: TestContext, uid: number, args: string[], more: Record<string, string> = {}) {
  const { folders, remove } = temporaryFolders();
  t.after(remove);
  const programs = { id: `echo ${uid}`, sudo: 'printf "<%s>" sudo "$@"' };
  for (const [name, line] of Object.entries(programs)) {
    writeFileSync(join(folders.bin, name), `#!/bin/sh\n${line}\n`);
    chmodSync(join(folders.bin, name), 0o755);
  }
  const env = { PATH: `${folders.bin}:/usr/bin:/bin`, ...more };
  const { status, stdout, stderr } = spawnSync(script, args, { env, encoding: "utf8" });
  return { status, stdout, stderr };
}

const tell = ["sh", "-c", 'printf "%s|" "$A" "$HOME" "$@"', "name"];

test("as root the command runs by itself, with the variables and arguments it was given", (t) => {
  const args = ["A=b c", "-H", "-E", ...tell, "-u", "X=y", "", "*"];
  const { status, stdout, stderr } = call(t, 0, args, { HOME: "/elsewhere" });
  const home = /^root:(?:[^:]*:){4}([^:]*):/m.exec(
    spawnSync("cat", ["/etc/passwd"]).stdout.toString(),
  );
  assert.deepEqual([status, stdout, stderr], [0, `b c|${home?.[1]}|-u|X=y||*|`, ""]);
  assert.equal(call(t, 0, ["-E", ...tell], { HOME: "/kept" }).stdout, "|/kept|");
});

test("what the environment has reaches the command as it is", (t) => {
  const own = { A: "1", command: "2", left: "3", name: "4", home: "5" };
  const line = 'echo "$A$command$left$name$home"';
  assert.equal(call(t, 0, ["-H", "sh", "-c", line], own).stdout, "12345\n");
});

test("its exit code is the command's; without a command it is called wrongly", (t) => {
  assert.equal(call(t, 0, ["sh", "-c", "exit 7"]).status, 7);
  assert.equal(call(t, 0, ["--", "sh", "-c", "exit 8"]).status, 8);
  const { status, stderr } = call(t, 0, ["-H", "-E"]);
  assert.deepEqual([status, stderr.startsWith("usage: ambari-sudo.sh")], [1, true]);
});

test("another user, and what it does not know, is sudo's; sudo never asks for a password", (t) => {
  assert.equal(call(t, 0, ["-u", "hdfs", "ls"]).stdout, "<sudo><-u><hdfs><ls>");
  assert.equal(call(t, 1000, ["A=b", "-H", "ls"]).stdout, "<sudo><-n><A=b><-H><ls>");
});
