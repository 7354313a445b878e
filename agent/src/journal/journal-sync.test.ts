import assert from "node:assert/strict";
import fs, { mkdtempSync, rmSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { pino } from "pino";
import { agentFolders, createFolders } from "../folders.js";

it("the journal syncs its file to the disk, unless told another way", async (t) => {
  const prefix = mkdtempSync(join(tmpdir(), "howdah-sync-"));
  t.after(() => rmSync(prefix, { recursive: true, force: true }));
  const synced = t.mock.method(fs, "fdatasync");
  syncBuiltinESMExports();
  // Only now: it takes what is there when it is loaded.
  const { openJournal } = await import("./open-journal.js");
  const folders = agentFolders(prefix);
  createFolders(folders);
  const journal = await openJournal(folders, pino({ level: "silent" }));
  t.after(() => journal.close());
  const before = synced.mock.callCount();
  await journal.accept({ storeId: "store", taskId: "1", attempt: 1 }, {});
  assert.equal(synced.mock.callCount(), before + 1);
});
