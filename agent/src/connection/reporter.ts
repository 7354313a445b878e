import { create } from "@bufbuild/protobuf";
import {
  type CommandReport,
  CommandReportSchema,
  type ReportAcked,
} from "@howdah/proto/howdah/v1/agent_service";
import { ReportOutcome, TaskEvent } from "@howdah/proto/howdah/v1/command_store_service";
import type { Logger } from "pino";
import type { CommandResult, JournalEntry } from "../journal/entry.js";
import type { Journal } from "../journal/journal.js";
import { keyText, type TaskKey } from "../task-key.js";
import type { OutputUploads } from "./output-uploads.js";

/** Where reports go while a session lives. */
export interface ReportSink {
  /** The store that the session serves; attempts of others are not reported to it. */
  readonly storeId: string;
  /** How many reports may be under way without an acknowledgement. */
  readonly credit: number;
  send(report: CommandReport): void;
}

const events: Readonly<Record<CommandResult["status"], TaskEvent>> = {
  COMPLETED: TaskEvent.SUCCEEDED,
  FAILED: TaskEvent.FAILED,
  TIMEDOUT: TaskEvent.TIMED_OUT,
  ABORTED: TaskEvent.CANCELLED,
  INTERRUPTED: TaskEvent.INTERRUPTED,
};

/** How long a start waits for the end: a short command needs no report of its start. */
const startDelayMs = 50;

/**
 * Reports what happens to the journal's attempts and keeps at it until each result is acknowledged. What is not acknowledged when a
 * session ends is reported again on the next.
 */
export class Reporter {
  private sink: ReportSink | undefined;
  /** Reports that wait for credit, by attempt; only the latest of each attempt matters. */
  private readonly waiting = new Map<string, JournalEntry>();
  /** Reports under way, by attempt: the event that was told. */
  private readonly underWay = new Map<string, TaskEvent>();
  private readonly starts = new Map<string, NodeJS.Timeout>();

  constructor(
    private readonly journal: Journal,
    private readonly uploads: OutputUploads,
    private readonly log: Logger,
  ) {}

  /** A session lives: everything that is not acknowledged is reported on it. */
  connected(sink: ReportSink): void {
    this.sink = sink;
    this.underWay.clear();
    this.waiting.clear();
    for (const entry of this.journal.entries()) {
      if (entry.key.storeId !== sink.storeId || entry.acknowledgedAtMs !== null) continue;
      if (entry.state !== "RECEIVED") this.waiting.set(keyText(entry.key), entry);
    }
    this.sendWaiting();
  }

  /** The session is over. */
  disconnected(): void {
    this.sink = undefined;
    this.underWay.clear();
  }

  /** An attempt has started. */
  started(entry: JournalEntry): void {
    const text = keyText(entry.key);
    const timer = setTimeout(() => {
      this.starts.delete(text);
      const now = this.journal.entry(entry.key);
      if (now?.state === "RUNNING") this.report(now);
    }, startDelayMs);
    this.starts.set(text, timer);
    this.uploads.started(entry);
  }

  /** An attempt's result is in the journal. */
  ended(entry: JournalEntry): void {
    const text = keyText(entry.key);
    clearTimeout(this.starts.get(text));
    this.starts.delete(text);
    this.uploads.ended(entry);
    this.report(entry);
  }

  /** Reports an attempt as the journal has it, also if that was done before. */
  report(entry: JournalEntry): void {
    if (this.sink === undefined || entry.key.storeId !== this.sink.storeId) return;
    this.waiting.set(keyText(entry.key), entry);
    this.sendWaiting();
  }

  /** Says that a command could not be taken: there is no journal entry to keep it by, so it is told once. */
  refused(key: TaskKey, reason: string): void {
    const now = BigInt(Date.now());
    this.sink?.send(
      create(CommandReportSchema, {
        taskId: BigInt(key.taskId),
        attempt: key.attempt,
        event: TaskEvent.FAILED,
        exitCode: 1,
        reason: reason.slice(0, 255),
        startedAtMs: now,
        endedAtMs: now,
      }),
    );
  }

  private sendWaiting(): void {
    const { sink } = this;
    if (sink === undefined) return;
    for (const [text, entry] of this.waiting) {
      if (this.underWay.size >= sink.credit) return;
      this.waiting.delete(text);
      const report = this.message(entry);
      this.underWay.set(text, report.event);
      sink.send(report);
    }
  }

  private message(entry: JournalEntry): CommandReport {
    const { key, result, start } = entry;
    const base = { taskId: BigInt(key.taskId), attempt: key.attempt };
    if (result === null) {
      const startedAtMs = BigInt(start?.atMs ?? 0);
      return create(CommandReportSchema, { ...base, event: TaskEvent.STARTED, startedAtMs });
    }
    return create(CommandReportSchema, {
      ...base,
      event: events[result.status],
      exitCode: result.exitCode,
      startedAtMs: BigInt(Math.round(result.started ? result.startedAtMs : 0)),
      endedAtMs: BigInt(Math.round(result.endedAtMs)),
      reason: result.reason.slice(0, 255),
      ...this.uploads.withReport(entry),
    });
  }

  /** The server's answer to reports. */
  async acknowledged(acks: readonly ReportAcked[], storeId: string): Promise<void> {
    for (const ack of acks) {
      const key = { storeId, taskId: String(ack.taskId), attempt: ack.attempt };
      const text = keyText(key);
      const told = this.underWay.get(text);
      if (told === ack.event) this.underWay.delete(text);
      if (ack.outcome === ReportOutcome.STALE_SESSION) continue;
      if (ack.outcome === ReportOutcome.REFUSED) {
        this.log.warn({ task: text, reason: ack.reason }, "the server refused a report");
      }
      const entry = this.journal.entry(key);
      if (ack.event === TaskEvent.STARTED || entry?.result === undefined) continue;
      if (entry.result !== null) await this.uploads.reportStored(entry, ack);
    }
    this.sendWaiting();
  }
}
