import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { AgentFolders } from "./folders.js";
import { PrefixInUseError, takeInstanceLock } from "./instance-lock.js";
import { bootId, readProcess } from "./process-table.js";
import { temporaryFolders } from "./testing/test-agent.js";

describe("takeInstanceLock()", () => {
  let folders: AgentFolders;
  let remove: () => void;
  beforeEach(() => {
    ({ folders, remove } = temporaryFolders());
  });
  afterEach(() => remove());

  it("refuses a second owner in one process, until the first gives up", () => {
    const unlock = takeInstanceLock(folders);
    assert.throws(() => takeInstanceLock(folders), PrefixInUseError);
    unlock();
    takeInstanceLock(folders)();
  });

  it("refuses while another process owns the prefix, and names it; takes over when it is dead", async () => {
    const other = spawn("sleep", ["60"]);
    await once(other, "spawn");
    const info = readProcess(other.pid ?? 0);
    writeFileSync(join(folders.lock, `${info?.pid}.${info?.startTime}.${bootId()}`), "");
    assert.throws(() => takeInstanceLock(folders), {
      name: "PrefixInUseError",
      message: new RegExp(`another agent \\(pid ${info?.pid}\\) .*${folders.prefix}`),
    });
    other.kill("SIGKILL");
    await once(other, "exit");
    const unlock = takeInstanceLock(folders);
    assert.deepEqual(readdirSync(folders.lock).length, 1);
    unlock();
  });

  it("has at most one owner, however many processes take over a dead one's lock at once", async () => {
    writeFileSync(join(folders.lock, `1.999999999.${bootId()}`), "");
    const line = [
      `import { takeInstanceLock } from ${JSON.stringify(new URL("./instance-lock.js", import.meta.url))};`,
      `try { takeInstanceLock(${JSON.stringify(folders)}); process.stdout.write("owner\\n"); }`,
      `catch { process.stdout.write("refused\\n"); }`,
      "process.stdin.resume();", // lives until its stdin ends
    ].join("\n");
    const starters = Array.from({ length: 6 }, () =>
      spawn(process.execPath, ["--input-type=module", "-e", line], {
        stdio: ["pipe", "pipe", "inherit"],
      }),
    );
    const answers = await Promise.all(
      starters.map(async ({ stdout }) => String((await once(stdout, "data"))[0])),
    );
    assert.ok(answers.filter((answer) => answer === "owner\n").length <= 1, String(answers));
    await Promise.all(
      starters.map((child) => {
        const gone = once(child, "exit");
        child.stdin.end();
        return gone;
      }),
    );
    takeInstanceLock(folders)();
  });

  it("takes a live process with the owner's pid, but not its start time or boot, for another", () => {
    writeFileSync(join(folders.lock, `1.999999999.${bootId()}`), "");
    writeFileSync(join(folders.lock, `${process.ppid}.1.former-boot`), "");
    takeInstanceLock(folders)();
    assert.deepEqual(readdirSync(folders.lock), []);
  });

  it("refuses a data folder that an agent with another prefix has", async () => {
    const other = spawn("sleep", ["60"]);
    await once(other, "spawn");
    const info = readProcess(other.pid ?? 0);
    const name = `${info?.pid}.${info?.startTime}.${bootId()}`;
    writeFileSync(join(folders.dataLock, name), "");
    assert.throws(() => takeInstanceLock(folders), {
      name: "PrefixInUseError",
      message: new RegExp(
        `another agent \\(pid ${info?.pid}\\) has the data folder ${folders.data}`,
      ),
    });
    assert.deepEqual(readdirSync(folders.lock), []); // not locked either
    other.kill("SIGKILL");
    await once(other, "exit");
    takeInstanceLock(folders)();
  });
});
