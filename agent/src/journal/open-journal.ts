import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import type { AgentFolders } from "../folders.js";
import { takeInstanceLock } from "../instance-lock.js";
import { readAgentId } from "./agent-id.js";
import { applyRecord, asJson, asRecord, emptyState, type JournalRecord } from "./entry.js";
import type { Journal } from "./journal.js";
import {
  type JournalFileOptions,
  openJournalFile,
  syncFolder,
  writeJournalFile,
} from "./journal-file.js";
import { type KeepOptions, keepJournal, keepState } from "./keep-journal.js";
import { type JournalScan, lineBytes, scanJournal } from "./record-lines.js";

/** Thrown when records that were safe can't be read any more; names the file and the offset. */
export class JournalDamagedError extends Error {
  override readonly name = "JournalDamagedError";
}

/** Settings of a journal. */
export interface JournalOptions extends JournalFileOptions, KeepOptions {}

/**
 * Opens the journal below `folders`, or makes one, and takes the prefix for this process. Throws `PrefixInUseError`;
 * `JournalDamagedError` when safe records are lost in the middle of the file. A file of which nothing can be read is set
 * aside as `journal.unreadable-TIME` and a new journal begins.
 */
export async function openJournal(
  folders: AgentFolders,
  log: Logger,
  options: JournalOptions = {},
): Promise<Journal> {
  const unlock = takeInstanceLock(folders);
  try {
    return await openLocked(folders, log, options, unlock);
  } catch (error) {
    unlock();
    throw error;
  }
}

async function openLocked(
  folders: AgentFolders,
  log: Logger,
  options: JournalOptions,
  unlock: () => void,
): Promise<Journal> {
  const now = options.now ?? Date.now;
  const path = join(folders.journal, "journal");
  const scan = readOrMake(path, folders, log, now);
  const state = emptyState();
  for (const { value } of scan.records) applyRecord(state, asRecord(value));
  const kept = keepState(state, options);
  const snapshot = () => kept.snapshot().map(asJson);
  const file = openJournalFile(path, scan, { ...kept, snapshot }, options);
  if (kept.dropForgotten() > 0) await file.compact();
  return keepJournal(kept, {
    makeRoom: (record, following) => file.makeRoom(lineBytes(JSON.stringify(record)) + following),
    append: (record) => file.append(asJson(record)),
    syncs: file.syncs,
    async close() {
      await file.close();
      unlock();
    },
  });
}

/** Reads the file; makes it when it is missing or can't be read at all. */
function readOrMake(
  path: string,
  folders: AgentFolders,
  log: Logger,
  now: () => number,
): JournalScan {
  if (existsSync(path)) {
    const scan = readJournal(path, log);
    if (scan) return scan;
    const aside = `${path}.unreadable-${now()}`;
    renameSync(path, aside);
    syncFolder(folders.journal);
    log.error({ aside }, `the journal ${path} can't be read and was set aside: a new one begins`);
  }
  const header: JournalRecord = {
    type: "journal",
    journalId: randomUUID(),
    agentId: readAgentId(folders),
  };
  writeJournalFile(path, [asJson(header)], 64 * 1024);
  return scanJournal(readFileSync(path));
}

function readJournal(path: string, log: Logger): JournalScan | undefined {
  let scan: JournalScan;
  try {
    scan = scanJournal(readFileSync(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EIO") throw error;
    return undefined;
  }
  if (scan.records[0]?.value.type !== "journal") return undefined;
  if (scan.tail === "damaged") {
    throw new JournalDamagedError(
      `the journal ${path} is damaged at offset ${scan.endOffset}, before records that were safe: restore the file, or move it away to begin a new journal (the server then treats this host's open tasks as unknown)`,
    );
  }
  if (scan.tail === "torn") {
    log.warn(
      { path, offset: scan.endOffset, records: scan.records.length },
      "the journal's last write was not finished: it ends at the last good record",
    );
  }
  return scan;
}
