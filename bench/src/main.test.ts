import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { findProcesses } from "@howdah/launcher/find-processes";

const main = fileURLToPath(new URL("main.js", import.meta.url));

describe("npm run bench", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "howdah-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  /** Starts it with its temporary files in a folder of the test's. */
  function start(...args: string[]) {
    const child = spawn(process.execPath, [main, ...args], {
      env: { ...process.env, TMPDIR: folder },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const said = { out: "", err: "" };
    child.stdout.on("data", (text) => {
      said.out += text;
    });
    child.stderr.on("data", (text) => {
      said.err += text;
    });
    return { child, said, closed: once(child, "close") };
  }

  it("should list the rows, and refuse what there is not", async () => {
    const list = start("--list");
    const wrong = start("nothing");
    assert.deepEqual(await list.closed, [0, null]);
    assert.match(list.said.out, /^fanout +one ad-hoc command/m);
    assert.deepEqual(await wrong.closed, [2, null]);
    assert.match(wrong.said.err, /^bench: there is no benchmark "nothing"; there are: /);
  });

  it("should leave nothing behind when it is interrupted", { timeout: 180_000 }, async () => {
    const { child, said, closed } = start("fanout", "--quick");
    while (!said.err.includes("hosts connect")) await once(child.stderr, "data");
    const theirs = (args: string[]) => args.some((arg) => arg.includes(`${folder}/`));
    assert.ok((await findProcesses(theirs)).length > 0);
    child.kill("SIGINT");
    assert.deepEqual(await closed, [1, null]);
    assert.match(said.out, /^could not be measured: ended by SIGINT$/m);
    assert.deepEqual(await findProcesses(theirs), []);
    assert.deepEqual(await readdir(folder), []);
  });
});
