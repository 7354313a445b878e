import { create } from "@bufbuild/protobuf";
import {
  type CommandReport,
  CommandReportSchema,
  type ReportAcked,
} from "@howdah/proto/howdah/v1/agent_service";
import { ReportOutcome } from "@howdah/proto/howdah/v1/store_reports";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import type { Logger } from "pino";
import type { CommandResult, JournalEntry } from "../journal/entry.js";
import type { Journal } from "../journal/journal.js";
import { keyText } from "../task-key.js";
import type { OutputUploads } from "./output-uploads.js";

/** Where reports go while a session lives. */
export interface ReportSink {
  /** The store that the session serves; attempts of others are not reported to it. */
  readonly storeId: string;
  /** How many reports may be under way without an acknowledgement. */
  readonly credit: number;
  readonly uploads: OutputUploads;
  /** Sends what goes in one message. */
  send(reports: CommandReport[]): void;
  /** The server says that the session is not the host's any more. */
  stale(): void;
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

/** From how many bytes of output on, about, the next report goes in a message of its own: far below what a message may have. */
const bytesTogether = 256 * 1024;

/**
 * Reports what happens to the journal's attempts and keeps at it until each result is acknowledged. What is not acknowledged when a
 * session ends is reported again on the next.
 */
export class Reporter {
  private sink: ReportSink | undefined;
  /** Reports that wait for credit, by attempt; only the latest of each attempt matters. */
  private readonly waiting = new Map<string, JournalEntry>();
  /** Reports under way: attempt and event. */
  private readonly underWay = new Set<string>();
  private readonly starts = new Map<string, NodeJS.Timeout>();
  private sending: NodeJS.Immediate | undefined;

  constructor(
    private readonly journal: Journal,
    private readonly log: Logger,
    /** Told when the server has recorded a result. Default: nobody. */
    private readonly onRecorded: (entry: JournalEntry) => void = () => undefined,
  ) {}

  /** A session lives: everything that is not acknowledged is reported on it. */
  connected(sink: ReportSink): void {
    this.disconnected();
    this.sink = sink;
    for (const entry of this.journal.entries()) {
      if (entry.key.storeId !== sink.storeId || entry.acknowledgedAtMs !== null) continue;
      if (entry.result !== null) this.reportOnceWritten(entry, entry.result);
      else if (entry.state === "RUNNING") {
        sink.uploads.follow(entry, false);
        this.report(entry);
      }
    }
  }

  /** The journal shows a result a moment before it is on disk. */
  private reportOnceWritten(entry: JournalEntry, result: CommandResult): void {
    this.journal.ended(entry.key, result).then(
      () => this.report(entry),
      (error: unknown) => this.log.error({ err: error, task: keyText(entry.key) }, "not reported"),
    );
  }

  /** The session is over. */
  disconnected(): void {
    this.sink = undefined;
    this.waiting.clear();
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
    this.sink?.uploads.follow(entry, true);
  }

  /** An attempt's result is in the journal. */
  ended(entry: JournalEntry): void {
    const text = keyText(entry.key);
    clearTimeout(this.starts.get(text));
    this.starts.delete(text);
    this.sink?.uploads.ended(entry);
    this.report(entry);
  }

  /** Reports an attempt as `entry` has it, also if that was done in a former session. */
  report(entry: JournalEntry): void {
    if (this.sink === undefined || entry.key.storeId !== this.sink.storeId) return;
    this.waiting.set(keyText(entry.key), entry);
    this.sendSoon();
  }

  /** After what is said in the same turn: that a command was taken comes before how it ended. */
  private sendSoon(): void {
    this.sending ??= setImmediate(() => {
      this.sending = undefined;
      this.sendWaiting();
    });
  }

  private sendWaiting(): void {
    const { sink } = this;
    if (sink === undefined) return;
    let together: CommandReport[] = [];
    let bytes = 0;
    for (const [text, entry] of this.waiting) {
      if (this.underWay.size >= sink.credit) break;
      this.waiting.delete(text);
      const told = reportText(text, eventOf(entry));
      if (this.underWay.has(told)) continue;
      this.underWay.add(told);
      const report = message(entry, sink);
      together.push(report);
      for (const { data } of report.output) bytes += data.length;
      if (bytes < bytesTogether) continue;
      sink.send(together);
      together = [];
      bytes = 0;
    }
    if (together.length > 0) sink.send(together);
  }

  /** The server's answer to reports. */
  acknowledged(acks: readonly ReportAcked[]): void {
    const { sink } = this;
    if (sink === undefined) return;
    for (const ack of acks) this.settle(ack, sink);
    this.sendSoon();
  }

  private settle(ack: ReportAcked, { storeId, uploads, stale }: ReportSink): void {
    const { taskId, attempt, event, outcome, reason, stored } = ack;
    const key = { storeId, taskId: String(taskId), attempt };
    const text = keyText(key);
    const fields = { task: text, event: TaskEvent[event], reason };
    if (!this.underWay.delete(reportText(text, event))) {
      this.log.warn(fields, "the server acknowledged what was not reported");
      return;
    }
    const entry = this.journal.entry(key);
    // A result that was acknowledged before was asked for again.
    const open = entry?.result != null && event !== TaskEvent.STARTED && !entry.acknowledgedAtMs;
    switch (outcome) {
      case ReportOutcome.RECORDED:
      case ReportOutcome.KNOWN:
        if (open) {
          uploads.reportStored(entry, stored);
          this.onRecorded(entry);
        }
        return;
      case ReportOutcome.REFUSED:
        this.log.warn(fields, "the server refused a report");
        // What the server will not hear of it keeps no output of either.
        if (open) uploads.forget(key);
        return;
      case ReportOutcome.STALE_SESSION:
        stale();
        return;
      default:
        this.log.warn(fields, "the server's answer to a report is not understood: it is kept");
    }
  }
}

function eventOf({ result }: JournalEntry): TaskEvent {
  return result === null ? TaskEvent.STARTED : events[result.status];
}

function reportText(attempt: string, event: TaskEvent): string {
  return `${attempt} ${event}`;
}

function message(entry: JournalEntry, { uploads }: ReportSink): CommandReport {
  const { key, result, start } = entry;
  const taskId = BigInt(key.taskId);
  const { attempt } = key;
  const event = eventOf(entry);
  const receivedAtMs = BigInt(Math.round(entry.receivedAtMs));
  if (result === null) {
    const startedAtMs = BigInt(start?.atMs ?? 0);
    return create(CommandReportSchema, { taskId, attempt, event, receivedAtMs, startedAtMs });
  }
  const { lengths, restEmpty, output } = uploads.withReport(entry);
  return create(CommandReportSchema, {
    taskId,
    attempt,
    event,
    receivedAtMs,
    exitCode: result.exitCode,
    startedAtMs: BigInt(Math.round(result.started ? result.startedAtMs : 0)),
    endedAtMs: BigInt(Math.round(result.endedAtMs)),
    reason: [...result.reason].slice(0, 255).join(""),
    lengths,
    restEmpty,
    output,
  });
}
