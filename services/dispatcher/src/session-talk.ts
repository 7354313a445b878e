import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import {
  AckResult,
  type CommandAck,
  type CommandReport,
  CommandReportSchema,
  type ConnectRequest,
  ConnectRequestSchema,
  ConnectResponseSchema,
  ReportAckedSchema,
  UnsupportedSchema,
} from "@howdah/proto/howdah/v1/agent_service";
import { ReportOutcome } from "@howdah/proto/howdah/v1/store_reports";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import type { Logger } from "pino";
import type { AdaptiveBatcher } from "./adaptive-batcher.js";
import type { AlertBatcher } from "./alerts/alert-batcher.js";
import type { AlertExecutions } from "./alerts/alert-executions.js";
import { attemptKey } from "./attempt-key.js";
import { reportProblem, toTaskReport } from "./command-report.js";
import type { HostStatusBatcher } from "./hosts/host-status-batcher.js";
import type { Outbox } from "./outbox.js";
import type { PendingReport } from "./report-batcher.js";
import type { Session } from "./session.js";
import type { StatusBatcher } from "./status-batcher.js";

/** What hears what agents say. */
export interface SessionTalkParts {
  readonly reports: AdaptiveBatcher<PendingReport>;
  readonly statuses: StatusBatcher;
  readonly alerts: AlertBatcher;
  readonly executions: Pick<AlertExecutions, "gaveUp">;
  readonly hostStatuses: HostStatusBatcher;
  readonly maxUnackedReports: number;
  readonly log: Logger;
}

/** What an agent may say once it has registered, and before it says goodbye. */
export type Said = Exclude<
  ConnectRequest["message"],
  { case: "register" | "goodbye" | undefined; value?: unknown }
>;

const alertExecution = ConnectResponseSchema.field.alertExecutionCommand;

/** Passes on what the agent of a session says. Waits for nothing. */
export function takeSaid(parts: SessionTalkParts, session: Session, message: Said): void {
  session.heard();
  switch (message.case) {
    case "heartbeat":
      break;
    case "commandAck":
      answered(parts, session, message.value);
      break;
    case "commandReports":
      for (const one of message.value.reports) {
        if (session.outbox.ended) return;
        report(parts, session, one);
      }
      break;
    case "unsupported":
      parts.log.warn(
        { host: session.identity.hostName, ...message.value, $typeName: undefined },
        "an agent did not understand a message",
      );
      if (message.value.fieldNumber === alertExecution.number) {
        parts.executions.gaveUp(session, "its agent cannot run alerts");
      }
      break;
    // These are not acknowledged, or later: the newest word wins, and the next session tells everything.
    case "componentStatusReport":
      answer(parts.statuses.add(session, message.value.statuses), "a component status");
      break;
    case "alertReport":
      answer(parts.alerts.add(session, message.value), "an alert");
      break;
    case "hostStatusReport":
      answer(parts.hostStatuses.add(session, message.value), "a host's status");
      break;
  }

  /** Nothing unless there was a problem. */
  function answer(problem: string | undefined, what: string): void {
    if (problem === undefined) return;
    parts.log.warn({ host: session.identity.hostName, reason: problem }, `${what} was refused`);
    sayUnsupported(session.outbox, ConnectRequestSchema.field[message.case].number, problem);
  }
}

/** Tells an agent that a message of its is not understood. */
export function sayUnsupported(outbox: Outbox, fieldNumber: number, detail: string): void {
  outbox.say({ case: "unsupported", value: create(UnsupportedSchema, { fieldNumber, detail }) });
}

function report(
  { reports, maxUnackedReports }: SessionTalkParts,
  from: Session,
  said: CommandReport,
): void {
  const { outbox } = from;
  from.reported();
  if (from.unacknowledged > 2 * maxUnackedReports) {
    from.drop(
      `more than ${2 * maxUnackedReports} reports wait for their acknowledgement; the credit is ${maxUnackedReports}`,
      Code.ResourceExhausted,
    );
    return;
  }
  const { taskId, attempt, event } = said;
  const reason = reportProblem(said);
  if (reason !== undefined) {
    const outcome = ReportOutcome.REFUSED;
    from.acknowledge(create(ReportAckedSchema, { taskId, attempt, event, outcome, reason }));
    return;
  }
  reports.add({ session: from, report: toTaskReport(said, from.identity) });
  // Who reports on a command has answered it.
  outbox.queue.answered(attemptKey(said));
  if (event !== TaskEvent.STARTED && outbox.queue.ended(taskId, attempt)) outbox.wake();
}

function answered(
  { reports, log }: SessionTalkParts,
  from: Session,
  { taskId, attempt, result, reason }: CommandAck,
): void {
  const { queue } = from.outbox;
  const command = queue.answered(attemptKey({ taskId, attempt }));
  if (command === undefined || result === AckResult.ACCEPTED) return;
  const fields = { host: from.identity.hostName, task: String(taskId), attempt, reason };
  if (result === AckResult.ATTEMPT_ALIVE) {
    log.info(fields, "a command waits for a former attempt of its task to end");
    queue.park(command);
    return;
  }
  // It has no entry in the journal and no report, so nothing else will come: the refusal is its result.
  log.warn(fields, "an agent refused a command");
  from.reported();
  const refusal = create(CommandReportSchema, {
    taskId,
    attempt,
    event: TaskEvent.FAILED,
    reason: `the agent could not take the command: ${reason || "it gave no reason"}`,
  });
  reports.add({ session: from, report: toTaskReport(refusal, from.identity) });
}
