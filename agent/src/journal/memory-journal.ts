import { randomUUID } from "node:crypto";
import { emptyState } from "./entry.js";
import type { Journal } from "./journal.js";
import { type KeepOptions, keepJournal, keepState } from "./keep-journal.js";

/** So many records are written before it is looked for what may be forgotten. */
const recordsBetweenLooks = 1_000;

/**
 * A journal that is kept in memory and ends with the process: for simulated agents. It has room for everything, and what it is given
 * is safe at once.
 */
export function memoryJournal(agentId: string, options: KeepOptions = {}): Journal {
  const kept = keepState({ ...emptyState(), agentId, journalId: randomUUID() }, options);
  const safe = Promise.resolve();
  let records = 0;
  return keepJournal(kept, {
    makeRoom: () => undefined,
    append() {
      records += 1;
      if (records % recordsBetweenLooks === 0) kept.dropForgotten();
      return safe;
    },
    syncs: () => 0,
    close: () => safe,
  });
}
