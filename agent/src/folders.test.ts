import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { agentFolders, createFolders, DiskError, FolderError, folderTrouble } from "./folders.js";

describe("createFolders()", () => {
  let place: string;
  before(() => {
    place = mkdtempSync(join(tmpdir(), "howdah-folders-"));
  });
  after(() => rmSync(place, { recursive: true }));

  it("makes every folder with its mode, again and again", () => {
    const folders = agentFolders(join(place, "a"));
    const mode = (path: string) => statSync(path).mode & 0o7777;
    for (let round = 0; round < 2; round++) {
      createFolders(folders);
      assert.equal(mode(folders.data), 0o700);
      assert.equal(mode(folders.keys), 0o700);
      assert.equal(mode(folders.tmp), 0o1777);
      assert.equal(mode(folders.cache) & 0o700, 0o700);
    }
    assert.ok(statSync(folders.stackHooks).isDirectory());
  });

  it("keeps two agents apart, and places folders where the settings say", () => {
    const elsewhere = join(place, "elsewhere");
    const [a, b] = [agentFolders(join(place, "a")), agentFolders(join(place, "b"))];
    const moved = agentFolders(join(place, "c"), { data: elsewhere });
    assert.equal(Object.values(a).filter((path) => Object.values(b).includes(path)).length, 0);
    assert.equal(moved.journal, join(elsewhere, "journal"));
  });

  it("names the folder it can't write in one line", () => {
    writeFileSync(join(place, "file"), "");
    const folders = agentFolders(join(place, "d"), { data: join(place, "file", "data") });
    assert.throws(
      () => createFolders(folders),
      (error: Error) => {
        assert.ok(error instanceof FolderError);
        assert.ok(error.message.includes(folders.data) && !error.message.includes("\n"));
        return true;
      },
    );
  });

  it("tells what a later start may find mended from what an operator has to mend", () => {
    const trouble = (code: string) => folderTrouble("the data folder /data", { code });
    for (const code of ["EROFS", "ENOSPC", "EDQUOT", "EIO", "ESTALE", "EMFILE"]) {
      assert.ok(trouble(code) instanceof DiskError, code);
    }
    for (const code of ["EACCES", "EPERM", "ENOTDIR", "EEXIST"]) {
      assert.ok(trouble(code) instanceof FolderError, code);
    }
  });

  it("says at once that a folder cannot be made where the system makes none", () => {
    assert.throws(() => createFolders(agentFolders("/proc/howdah/agent")), FolderError);
  });

  it("takes a data folder of which a part was lost for the agent's", () => {
    const folders = agentFolders(join(place, "e"));
    createFolders(folders);
    writeFileSync(join(folders.data, "output-1.txt"), "");
    rmSync(folders.journal, { recursive: true });
    createFolders(folders);
    assert.ok(statSync(folders.journal).isDirectory());
  });

  it("leaves a folder alone that is not the agent's", () => {
    const foreign = join(place, "foreign");
    mkdirSync(foreign, { mode: 0o755 });
    writeFileSync(join(foreign, "precious"), "");
    for (const name of ["data", "tmp"] as const) {
      const folders = agentFolders(join(place, "f"), { [name]: foreign });
      assert.throws(() => createFolders(folders), { name: "FolderError", message: /of its own$/ });
      assert.equal(statSync(foreign).mode & 0o7777, 0o755);
    }
    chmodSync(foreign, 0o1777); // as /tmp is
    createFolders(agentFolders(join(place, "f"), { tmp: foreign }));
  });
});
