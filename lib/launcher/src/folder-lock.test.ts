import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { FolderInUseError, lockFolder } from "./folder-lock.js";
import { identify } from "./process-identity.js";

describe("lockFolder()", () => {
  let folder: string;
  let file: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "howdah-lock-"));
    file = join(folder, "owner.json");
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("should let in one of many at a time, and name the holder", async () => {
    const tries = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(file)));
    const held = tries.filter((attempt) => attempt.status === "fulfilled");
    assert.equal(held.length, 1);
    await assert.rejects(lockFolder(file), (error) => {
      assert.ok(error instanceof FolderInUseError);
      assert.equal(error.pid, process.pid);
      return true;
    });
    await held[0]?.value.release();
    await (await lockFolder(file)).release();
    assert.deepEqual(await readdir(folder), []);
  });

  it("should take over what a dead process left, a reused pid and half a file included", async () => {
    const living = await identify(process.pid);
    for (const text of [JSON.stringify({ ...living, startTicks: "1" }), '{"pid":', ""]) {
      await writeFile(file, text);
      const tries = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(file)));
      const held = tries.filter((attempt) => attempt.status === "fulfilled");
      assert.equal(held.length, 1, text);
      await held[0]?.value.release();
    }
  });

  it("should not remove the next owner's lock by a late second release", async () => {
    const first = await lockFolder(file);
    await first.release();
    const second = await lockFolder(file);
    await first.release();
    await assert.rejects(lockFolder(file), FolderInUseError);
    await second.release();
  });
});
