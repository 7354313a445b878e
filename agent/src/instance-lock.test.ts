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

  it("takes a live process with the owner's pid, but not its start time or boot, for another", () => {
    writeFileSync(join(folders.lock, `1.999999999.${bootId()}`), "");
    writeFileSync(join(folders.lock, `${process.ppid}.1.former-boot`), "");
    takeInstanceLock(folders)();
    assert.deepEqual(readdirSync(folders.lock), []);
  });
});
