import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  AckResult,
  type AlertReport,
  type CommandAck,
  type CommandReport,
  CommandReportSchema,
  type ComponentStatusReport,
  type ConnectRequest,
  ConnectResponseSchema,
  type HostStatusReport,
  RegistrationResultSchema,
  ReportAckedSchema,
  UnsupportedSchema,
} from "@howdah/proto/howdah/v1/agent_service";
import { ReportOutcome, TaskEvent } from "@howdah/proto/howdah/v1/command_store_service";
import { peerSilentMs } from "@howdah/rpc/silent-peer";
import type { Logger } from "pino";
import type { AdaptiveBatcher } from "./adaptive-batcher.js";
import type { AlertBatcher } from "./alerts/alert-batcher.js";
import type { AlertExecutions } from "./alerts/alert-executions.js";
import { attemptKey } from "./attempt-key.js";
import { reportProblem, toTaskReport } from "./command-report.js";
import type { HostStatusBatcher } from "./hosts/host-status-batcher.js";
import type { OpenSession } from "./open-session.js";
import { Outbox } from "./outbox.js";
import { reconcile } from "./reconcile.js";
import { createRegistrationReader, type Registration } from "./registration.js";
import type { PendingReport } from "./report-batcher.js";
import { Session } from "./session.js";
import type { SessionRegistry } from "./session-registry.js";
import type { StatusBatcher } from "./status-batcher.js";

/** What every agent's stream needs. */
export interface AgentStreamParts {
  readonly registry: SessionRegistry;
  readonly openSession: OpenSession;
  readonly reports: AdaptiveBatcher<PendingReport>;
  readonly statuses: StatusBatcher;
  readonly alerts: AlertBatcher;
  readonly executions: Pick<AlertExecutions, "gaveUp">;
  readonly hostStatuses: HostStatusBatcher;
  /** Milliseconds since 1970, told to agents for comparison. */
  readonly wallMs: () => number;
  readonly heartbeatMs: number;
  readonly maxUnackedReports: number;
  readonly outputCap: bigint;
  readonly log: Logger;
}

const alertExecution = ConnectResponseSchema.field.alertExecutionCommand;

/** One agent's stream. */
export interface AgentStream {
  readonly outbox: Outbox;
  /** Reads until the stream ends, however it does; then the outbox has ended too, and the session if there was one. */
  read(requests: AsyncIterable<ConnectRequest>, signal: AbortSignal): Promise<void>;
  /** Whether the agent has registered. */
  readonly registered: boolean;
}

/**
 * Makes one agent's stream. Nothing here waits for the store but the registration, so that a slow store never makes a host
 * look lost.
 */
export function createAgentStream(parts: AgentStreamParts, peerAddress: string): AgentStream {
  const { registry, reports, log } = parts;
  const outbox = new Outbox(() => over());
  const readPage = createRegistrationReader();
  let session: Session | undefined;
  let goodbye = false;
  let callSignal: AbortSignal | undefined;

  function over(): void {
    if (session === undefined) return;
    const silentMs = session.silentAtEnd(callSignal === undefined ? 0 : peerSilentMs(callSignal));
    registry.close(session, goodbye ? "goodbye" : "lost", silentMs);
  }

  async function register(registration: Registration, signal: AbortSignal): Promise<void> {
    const { register: said, hostName, entries } = registration;
    const opened = await parts.openSession(registration, peerAddress, signal);
    const { hostId, sessionEpoch: epoch, storeId, tasks } = opened;
    const { agentId, journalId, agentVersion } = said;
    const listed = said.storeId === storeId ? entries : [];
    const { verdicts, commands } = reconcile(listed, tasks, opened.commands);
    outbox.say({
      case: "registrationResult",
      value: create(RegistrationResultSchema, {
        ...{ storeId, hostId, sessionEpoch: epoch, verdicts },
        maxUnackedReports: parts.maxUnackedReports,
        heartbeatMs: parts.heartbeatMs,
        outputCap: parts.outputCap,
        serverTimeMs: BigInt(parts.wallMs()),
      }),
    });
    for (const command of commands) outbox.queue.addCommand(command);
    session = new Session(
      { hostId, hostName, epoch, agentId, journalId, agentVersion, peerAddress },
      outbox,
    );
    outbox.wake();
    // If the stream has ended meanwhile, the session ends as soon as the reading goes on.
    if (!registry.open(session)) {
      session.drop("the host's agent has a newer session");
      session = undefined;
    }
  }

  function report(from: Session, said: CommandReport): void {
    from.reported();
    if (from.unacknowledged > 2 * parts.maxUnackedReports) {
      from.drop(
        `more than ${2 * parts.maxUnackedReports} reports wait for their acknowledgement; the credit is ${parts.maxUnackedReports}`,
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

  function answered(from: Session, { taskId, attempt, result, reason }: CommandAck): void {
    const command = outbox.queue.answered(attemptKey({ taskId, attempt }));
    if (command === undefined || result === AckResult.ACCEPTED) return;
    const fields = { host: from.identity.hostName, task: String(taskId), attempt, reason };
    if (result === AckResult.ATTEMPT_ALIVE) {
      log.info(fields, "a command waits for a former attempt of its task to end");
      outbox.queue.park(command);
      return;
    }
    // It has no entry in the journal and no report, so nothing else will come: the refusal is its result.
    log.warn(fields, "an agent refused a command");
    from.reported();
    const refused = create(CommandReportSchema, {
      taskId,
      attempt,
      event: TaskEvent.FAILED,
      reason: `the agent could not take the command: ${reason || "it gave no reason"}`,
    });
    reports.add({ session: from, report: toTaskReport(refused, from.identity) });
  }

  function unsupported(fieldNumber: number, detail: string): void {
    outbox.say({ case: "unsupported", value: create(UnsupportedSchema, { fieldNumber, detail }) });
  }

  /** Not acknowledged: the newest word wins, and the next session tells everything. */
  function statuses(from: Session, said: ComponentStatusReport): void {
    const problem = parts.statuses.add(from, said.statuses);
    if (problem === undefined) return;
    log.warn({ host: from.identity.hostName, reason: problem }, "a component status was refused");
    unsupported(7, problem);
  }

  /** Not acknowledged either. */
  function hostStatus(from: Session, said: HostStatusReport): void {
    const problem = parts.hostStatuses.add(from, said);
    if (problem === undefined) return;
    log.warn({ host: from.identity.hostName, reason: problem }, "a host's status was refused");
    unsupported(9, problem);
  }

  function alerts(from: Session, said: AlertReport): void {
    const problem = parts.alerts.add(from, said);
    if (problem === undefined) return;
    log.warn({ host: from.identity.hostName, reason: problem }, "an alert was refused");
    unsupported(8, problem);
  }

  async function take(request: ConnectRequest, signal: AbortSignal): Promise<void> {
    const { message } = request;
    if (message.case === undefined) {
      unsupported(request.$unknown?.[0]?.no ?? 0, "this dispatcher does not know the message");
      return;
    }
    if (message.case === "register") {
      if (session !== undefined) {
        throw refuse("the agent is registered on this stream already; register on a new one");
      }
      const registration = readPage(message.value);
      if (registration !== undefined) await register(registration, signal);
      return;
    }
    if (message.case === "goodbye") {
      goodbye = true;
      return;
    }
    if (session === undefined) {
      log.warn({ peerAddress, message: message.case }, "an agent spoke before it registered");
      outbox.askToRegister(`the first message must be register, not ${message.case}`);
      return;
    }
    session.heard();
    switch (message.case) {
      case "heartbeat":
        return;
      case "commandAck":
        return answered(session, message.value);
      case "commandReport":
        return report(session, message.value);
      case "unsupported":
        log.warn(
          { host: session.identity.hostName, ...message.value, $typeName: undefined },
          "an agent did not understand a message",
        );
        if (message.value.fieldNumber === alertExecution.number) {
          parts.executions.gaveUp(session, "its agent cannot run alerts");
        }
        return;
      case "componentStatusReport":
        return statuses(session, message.value);
      case "alertReport":
        return alerts(session, message.value);
      case "hostStatusReport":
        return hostStatus(session, message.value);
    }
  }

  return {
    outbox,
    get registered() {
      return session !== undefined;
    },
    async read(requests, signal) {
      callSignal = signal;
      try {
        for await (const request of requests) {
          await take(request, signal);
          if (goodbye || outbox.ended) break;
        }
        outbox.end();
      } catch (error) {
        outbox.end(ConnectError.from(error, Code.Canceled));
      } finally {
        over();
      }
    },
  };
}

function refuse(what: string): ConnectError {
  return new ConnectError(what, Code.FailedPrecondition);
}
