import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { checkedOut } from "./machine.js";

describe("checkedOut()", () => {
  it("should tell the commit, and changes save those of the file of results", async () => {
    const folder = await mkdtemp(join(tmpdir(), "howdah-commit-"));
    try {
      assert.deepEqual(await checkedOut(folder, "results.md"), { id: "unknown", dirty: false });
      const git = (...args: string[]) => execFileSync("git", ["-C", folder, ...args]);
      git("init", "-q");
      await writeFile(join(folder, "a"), "1");
      git("add", "a");
      git(...["-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", "a"]);
      await writeFile(join(folder, "results.md"), "1");
      const { id, dirty } = await checkedOut(folder, "results.md");
      assert.match(id, /^[0-9a-f]{10}$/);
      assert.equal(dirty, false);
      await writeFile(join(folder, "a"), "2");
      assert.deepEqual(await checkedOut(folder, "results.md"), { id, dirty: true });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
