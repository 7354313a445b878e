import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { FolderInUseError, FolderUnusableError, lockFolder } from "./folder-lock.js";
import { listening } from "./log-line.js";
import { startProcess } from "./start-process.js";

describe("lockFolder()", () => {
  let folder: string;
  let locked: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "howdah-lock-"));
    locked = join(folder, "locked");
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("should let in one of many at a time, by whatever path, and name the owner", async () => {
    await mkdir(locked);
    await symlink(locked, join(folder, "alias"));
    const paths = Array.from({ length: 20 }, (_, n) => (n % 2 ? locked : join(folder, "alias")));
    for (let round = 0; round < 20; round += 1) {
      const tries = await Promise.allSettled(paths.map((path) => lockFolder(path)));
      const held = tries.filter((attempt) => attempt.status === "fulfilled");
      assert.equal(held.length, 1);
      await assert.rejects(lockFolder(locked), (error) => {
        assert.ok(error instanceof FolderInUseError);
        assert.equal(error.pid, process.pid);
        return true;
      });
      await held[0]?.value.release();
    }
    assert.deepEqual(await readdir(locked), []);
  });

  it("should say in one line that the folder cannot be made, and what to do", async () => {
    await writeFile(locked, "a file");
    await assert.rejects(lockFolder(join(locked, "below")), (error) => {
      assert.ok(error instanceof FolderUnusableError);
      assert.match(error.message, /below cannot be made or written \(ENOTDIR\): give this user/);
      return true;
    });
  });

  it("should be free at once when its owner is killed, whatever that left behind", async () => {
    const program = `
      import { lockFolder } from ${JSON.stringify(new URL("./folder-lock.js", import.meta.url))};
      await lockFolder(${JSON.stringify(locked)});
      console.log('{"msg":"listening","addresses":{}}');
      setInterval(() => {}, 1000);
    `;
    const owner = await startProcess({
      name: "owner",
      file: process.execPath,
      args: ["--input-type=module", "-e", program],
      logFile: join(folder, "owner.log"),
      readyWhen: listening,
    });
    await assert.rejects(lockFolder(locked), new RegExp(`is in use by process ${owner.pid}: stop`));
    owner.kill("SIGKILL");
    await owner.exited;
    await writeFile(join(locked, "owner.pid"), "half a");
    await (await lockFolder(locked)).release();
  });

  it("should not take the next owner's lock by a late second release", async () => {
    const first = await lockFolder(locked);
    await first.release();
    const second = await lockFolder(locked);
    await first.release();
    await assert.rejects(lockFolder(locked), FolderInUseError);
    await second.release();
  });
});
