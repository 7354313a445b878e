import { type AttemptVerdict, Verdict } from "@howdah/proto/howdah/v1/agent_registration";
import type { Logger } from "pino";
import type { Journal } from "../journal/journal.js";
import type { CommandQueue } from "../run/queue.js";
import { keyText, TaskKeyError } from "../task-key.js";

/** What obeying needs. */
export interface ObeyOptions {
  readonly storeId: string;
  /** The attempts that were listed as ended. */
  readonly endedThen: ReadonlySet<string>;
  readonly journal: Journal;
  readonly queue: CommandQueue;
  readonly log: Logger;
}

/**
 * Does what the server says of the attempts that were listed. Results are reported until they are acknowledged, so neither KEEP nor
 * REPORT asks for more than goes on anyway. Rejects when the journal cannot be written any more.
 */
export async function obeyVerdicts(
  verdicts: readonly AttemptVerdict[],
  options: ObeyOptions,
): Promise<void> {
  // At the same time, so that they share what they write to the disk.
  await Promise.all(verdicts.map((verdict) => obey(verdict, options)));
}

async function obey(
  { taskId, attempt, verdict, reason }: AttemptVerdict,
  { storeId, endedThen, journal, queue, log }: ObeyOptions,
): Promise<void> {
  const key = { storeId, taskId: String(taskId), attempt };
  try {
    const entry = journal.entry(key);
    if (entry === undefined) return;
    if (verdict === Verdict.CANCEL) await queue.cancel(key, reason);
    if (verdict !== Verdict.FORGET) return;
    if (endedThen.has(keyText(key))) await journal.acknowledged(key);
    // One that has begun since it was listed goes on: it is not stopped half-way, and its result tells the server.
    else if (entry.state === "RECEIVED") await queue.cancel(key, "the server no longer wants it");
  } catch (error) {
    if (!(error instanceof TaskKeyError)) throw error;
    log.warn({ reason: error.message }, "a verdict on what cannot be");
  }
}
