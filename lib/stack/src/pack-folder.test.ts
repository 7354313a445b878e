import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmod, link, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { list } from "tar";
import { packFolder } from "./pack-folder.js";
import { StackError } from "./stack-error.js";

describe("packFolder()", () => {
  let root: string;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), "pack-"));
  });
  after(() => rm(root, { recursive: true, force: true }));

  /** A folder with these files, made in this order. */
  const folderOf = async (files: Record<string, string>) => {
    const folder = await mkdtemp(join(root, "folder-"));
    for (const [path, content] of Object.entries(files)) {
      await mkdir(join(folder, path, ".."), { recursive: true });
      await writeFile(join(folder, path), content);
      await chmod(join(folder, path), 0o644);
    }
    return folder;
  };
  const entriesOf = (bytes: Uint8Array) => {
    const entries: { path: string; type: string; mode: number | undefined }[] = [];
    const reader = list({
      sync: true,
      onReadEntry: ({ path, type, mode }) => entries.push({ path, type, mode }),
    });
    reader.end(Buffer.from(bytes));
    return entries;
  };

  it("depends on names, modes and contents, not on times or the order of making", async () => {
    const one = await folderOf({ "scripts/a.py": "a", "scripts/b.py": "b", "z.txt": "z" });
    const two = await folderOf({ "z.txt": "z", "scripts/b.py": "b", "scripts/a.py": "a" });
    await utimes(join(two, "z.txt"), 1, 1);
    await utimes(join(two, "scripts"), 1, 1);
    const [first, second] = [await packFolder(one), await packFolder(two)];
    assert.equal(first.digest, second.digest);
    assert.equal(first.digest, createHash("sha256").update(first.bytes).digest("hex"));
    assert.deepEqual(
      entriesOf(first.bytes).map(({ path }) => path),
      ["scripts/", "scripts/a.py", "scripts/b.py", "z.txt"],
    );
    await chmod(join(two, "z.txt"), 0o755);
    const executable = await packFolder(two);
    assert.notEqual(executable.digest, first.digest);
    assert.equal(entriesOf(executable.bytes).at(-1)?.mode, 0o755);
    await writeFile(join(one, "z.txt"), "y");
    assert.notEqual((await packFolder(one)).digest, first.digest);
  });

  it("leaves compiled Python out", async () => {
    const plain = await folderOf({ "scripts/a.py": "a" });
    const compiled = await folderOf({
      "scripts/a.py": "a",
      "scripts/a.pyc": "x",
      "scripts/__pycache__/a.cpython-311.pyc": "x",
    });
    assert.equal((await packFolder(compiled)).digest, (await packFolder(plain)).digest);
  });

  it("packs a file with two names as two files", async () => {
    const linked = await folderOf({ "a.py": "same" });
    await link(join(linked, "a.py"), join(linked, "b.py"));
    const copied = await folderOf({ "a.py": "same", "b.py": "same" });
    assert.equal((await packFolder(linked)).digest, (await packFolder(copied)).digest);
  });

  it("keeps links that stay inside and refuses others", async () => {
    const inside = await folderOf({ "lib/a.py": "a" });
    await symlink("lib/a.py", join(inside, "a.py"));
    const entries = entriesOf((await packFolder(inside)).bytes);
    assert.equal(entries.find(({ path }) => path === "a.py")?.type, "SymbolicLink");
    for (const target of [
      "../secret",
      "/etc/passwd",
      "lib/../../secret",
      "nowhere",
      "lib/a.py/..",
    ]) {
      const folder = await folderOf({ "lib/a.py": "a" });
      await writeFile(join(root, "secret"), "x");
      await symlink(target, join(folder, "link"));
      await assert.rejects(packFolder(folder), (error) => {
        assert.ok(error instanceof StackError);
        assert.match(error.message, /link: cannot be packed: its link .* must be relative/);
        return true;
      });
    }
  });

  it("packs long paths, odd names and an empty folder", async () => {
    const long = `${"deep/".repeat(40)}file.py`;
    const folder = await folderOf({ [long]: "x", "@archive": "x", "ünï códé.txt": "x" });
    const paths = entriesOf((await packFolder(folder)).bytes).map(({ path }) => path);
    assert.ok(paths.includes(long));
    assert.ok(paths.includes("ünï códé.txt"));
    assert.deepEqual(entriesOf((await packFolder(await folderOf({}))).bytes), []);
  });
});
