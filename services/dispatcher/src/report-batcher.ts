import { create } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import { ReportAckedSchema } from "@howdah/proto/howdah/v1/agent_service";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import {
  ReportOutcome,
  type ReportResult,
  type TaskReport,
} from "@howdah/proto/howdah/v1/store_reports";
import type { TaskChange } from "@howdah/proto/howdah/v1/task_change";
import type { Logger } from "pino";
import { type AdaptiveBatcher, createAdaptiveBatcher } from "./adaptive-batcher.js";
import type { Session } from "./session.js";

/** A report on its way to the store. */
export interface PendingReport {
  readonly session: Session;
  readonly report: TaskReport;
}

/** How to make a report batcher. */
export interface ReportBatcherOptions {
  readonly store: Pick<Client<typeof CommandStoreService>, "recordReports">;
  /** Takes what a batch has changed, once it is committed. */
  changed(changes: TaskChange[]): void;
  /** Above so many bytes of waiting reports, results go without the output they carry. Default 64 MiB. */
  readonly maxOutputBytes?: number;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/**
 * Makes what passes reports to the store and acknowledges each to its session after the store's answer, never before. A
 * report of a session that was taken over is not passed on: its agent reports again on the new one.
 */
export function createReportBatcher(options: ReportBatcherOptions): AdaptiveBatcher<PendingReport> {
  const { store, signal, log } = options;
  const maxOutputBytes = options.maxOutputBytes ?? 64 << 20;

  const batcher = createAdaptiveBatcher<PendingReport, ReportResult>({
    name: "reports",
    maxRows: 1_000,
    maxBytes: (1 << 20) - (16 << 10),
    sizeOf: ({ report }) => reportSize(report),
    wanted: ({ session }) => !session.replaced,
    async send(batch, sending) {
      const reports = batch.map(({ report }) => report);
      const answer = await store.recordReports({ reports }, { signal: sending });
      if (answer.changes.length > 0) options.changed(answer.changes);
      return answer.results;
    },
    settled({ session, report }, { outcome, reason, stored }) {
      const { taskId, attempt, event } = report;
      session.acknowledge(
        create(ReportAckedSchema, { taskId, attempt, event, outcome, reason, stored }),
      );
      if (outcome !== ReportOutcome.STALE_SESSION) return;
      const { hostName, epoch } = session.identity;
      const late = { host: hostName, epoch: String(epoch), task: String(taskId), attempt };
      log.info(late, "a report was refused: its host has a newer session");
      if (session.current) {
        session.outbox.askToRegister("the host has a newer session elsewhere");
      }
    },
    refused({ session, report }, error) {
      const { taskId, attempt, event } = report;
      log.error({ err: error, task: String(taskId), attempt }, "the store refused a report");
      const outcome = ReportOutcome.REFUSED;
      const reason = error.rawMessage;
      session.acknowledge(create(ReportAckedSchema, { taskId, attempt, event, outcome, reason }));
    },
    signal,
    log,
  });

  return {
    add(item) {
      const { report } = item;
      // The acknowledgement says how much is stored, so the agent uploads what was left out here.
      if (batcher.pendingBytes > maxOutputBytes && report.lengths.length > 0) report.output = [];
      batcher.add(item);
    },
    flushed: (until) => batcher.flushed(until),
    room: (bytes, until) => batcher.room(bytes, until),
    get pending() {
      return batcher.pending;
    },
    get pendingBytes() {
      return batcher.pendingBytes;
    },
  };
}

/** Never less than what the report has on the wire. */
function reportSize({ reason, output, lengths }: TaskReport): number {
  let size = 80 + reason.length * 3 + lengths.length * 24;
  for (const { data } of output) size += data.byteLength + 24;
  return size;
}
