import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { RegistrationResult } from "@howdah/proto/howdah/v1/agent_registration";
import {
  AckResult,
  CommandReportsSchema,
  type ConnectRequest,
  ConnectRequestSchema,
  type ConnectResponse,
  ConnectResponseSchema,
  type Drain,
} from "@howdah/proto/howdah/v1/agent_service";
import type { ExecutionCommand } from "@howdah/proto/howdah/v1/command";
import { keyText, type TaskKey, TaskKeyError } from "../task-key.js";
import { obeyVerdicts } from "./obey-verdicts.js";
import { Outbox } from "./outbox.js";
import { createOutputUploads } from "./output-uploads.js";
import type { SessionEnd, SessionOptions } from "./session-options.js";
import { takeCommand } from "./take-command.js";
import { createUploadStream } from "./upload-stream.js";

type Attempt = Pick<ExecutionCommand, "taskId" | "attempt">;
type Said = NonNullable<MessageInitShape<typeof ConnectRequestSchema>["message"]>;

/** What a server that does not read may have waiting: then its session is given up. */
const mostWaiting = 10_000;
/** What a drain may ask for at most. */
const longestDrainMs = 600_000;
/** A server that does not end the stream after a goodbye is not waited for longer. */
const goodbyeMs = 1_000;
const defaultOutputCap = 64 * 1024 * 1024;
const defaultCredit = 100;
/**
 * How long the answer that a command was accepted waits for a report, which says the same: of its end, or of its start, which is told
 * 50 ms after it.
 */
const ackDelayMs = 100;
/** Each may carry 16 KiB of output. */
const mostCredit = 1_000;

/** What the agent does with what the server says on a session's stream, and what it says itself. */
export class SessionTalk {
  readonly outbox: Outbox<ConnectRequest>;
  /** When the server answered the registration, on the monotonic clock. */
  registeredAt: number | undefined;
  /** Set once the session is to end on purpose: how to go on. */
  leaving: Omit<SessionEnd, "livedMs"> | undefined;
  /** The registration is said right after this is made. */
  private readonly askedAt = performance.now();
  private storeId = "";
  /** Commands that were accepted, by the attempt, of which nothing was said yet. */
  private readonly accepted = new Map<string, Attempt>();
  private ackTimer: NodeJS.Timeout | undefined;
  private heartbeat: NodeJS.Timeout | undefined;
  private departure: NodeJS.Timeout | undefined;

  constructor(
    private readonly options: SessionOptions,
    private readonly endedThen: ReadonlySet<string>,
    private readonly ending: AbortController,
  ) {
    this.outbox = new Outbox(mostWaiting, () =>
      this.fail("the server does not read", Code.Aborted),
    );
  }

  private say(message: Said): void {
    this.outbox.put(create(ConnectRequestSchema, { message }));
  }

  private fail(what: string, code: Code): void {
    this.ending.abort(new ConnectError(what, code));
  }

  /** Ends the session on purpose. Only the first call counts. */
  leave(reason: string, how: Omit<SessionEnd, "livedMs">): void {
    if (this.leaving !== undefined) {
      // A drain that waits for its moment is cut short.
      if (this.departure !== undefined) this.depart(reason);
      return;
    }
    this.leaving = how;
    this.depart(reason);
  }

  private depart(reason: string): void {
    clearTimeout(this.departure);
    this.departure = undefined;
    if (this.registeredAt === undefined) {
      this.ending.abort();
      return;
    }
    this.say({ case: "goodbye", value: { reason } });
    this.outbox.end();
    setTimeout(() => this.ending.abort(), goodbyeMs).unref();
  }

  /**
   * Takes a message. Waits for nothing but the verdicts, so that a probe is answered at once. Throws when the session cannot go on.
   */
  async take(response: ConnectResponse): Promise<void> {
    try {
      await this.obey(response);
    } catch (error) {
      if (!(error instanceof TaskKeyError)) throw error;
      this.options.log.warn({ reason: error.message }, "the server spoke of what cannot be");
    }
  }

  private async obey(response: ConnectResponse): Promise<void> {
    const { message } = response;
    const { reporter, status, alerts, log } = this.options;
    if (message.case === "registrationResult") return this.begin(message.value);
    if (this.registeredAt === undefined) {
      if (message.case === "registrationCommand" || message.case === "drain") {
        return this.leave(`asked to ${message.case}`, {});
      }
      const what = `${message.case ?? "an unknown message"} came before the answer to the registration`;
      throw new ConnectError(what, Code.FailedPrecondition);
    }
    switch (message.case) {
      case "executionCommand":
        return this.takeCommand(message.value);
      case "cancelCommand":
        this.cancel(this.key(message.value), message.value.reason);
        return;
      case "reportAck":
        return reporter.acknowledged(message.value.acks);
      case "probe":
        return this.beat();
      case "drain":
        return this.drain(message.value);
      case "statusCommand":
        return status.command(message.value.checks);
      case "alertDefinitionCommand":
        return alerts.command(message.value);
      case "alertExecutionCommand":
        return alerts.execute(message.value);
      case "alertReportAck":
        return alerts.acknowledged(message.value.sequence);
      case "registrationCommand":
        log.info({ reason: message.value.reason }, "asked to register again");
        return this.leave("registering again", { reconnectAfterMs: 0, sameServer: true });
      case "unsupported": {
        const { fieldNumber, detail } = message.value;
        log.warn({ fieldNumber, detail }, "the server did not understand a message");
        return;
      }
      default:
        return this.unsupported(response);
    }
  }

  private unsupported({ message, $unknown }: ConnectResponse): void {
    const { case: variant } = message;
    const field = ConnectResponseSchema.fields.find(({ localName }) => localName === variant);
    const fieldNumber = field?.number ?? $unknown?.[0]?.no ?? 0;
    const detail = variant === undefined ? "an unknown message" : `${variant} is not built yet`;
    this.options.log.warn({ fieldNumber, detail }, "the server sent what this agent cannot do");
    this.say({ case: "unsupported", value: { fieldNumber, detail } });
  }

  private key({ taskId, attempt }: { taskId: bigint; attempt: number }): TaskKey {
    const key = { storeId: this.storeId, taskId: String(taskId), attempt };
    keyText(key);
    return key;
  }

  private async begin(result: RegistrationResult): Promise<void> {
    const { lastStore, log, reporter, status, onLive, client, journal, queue } = this.options;
    const { storeId, hostId, sessionEpoch } = result;
    if (this.registeredAt !== undefined) {
      log.warn("the server answered the registration twice");
      return;
    }
    if (!isStoreId(storeId)) {
      const what = `the server's store id ${JSON.stringify(storeId.slice(0, 80))} is none`;
      throw new ConnectError(what, Code.InvalidArgument);
    }
    this.registeredAt = performance.now();
    const before = lastStore.storeId;
    lastStore.storeId = storeId;
    if (before !== "" && before !== storeId) {
      // The attempts of another store were listed: what the server said of them means nothing.
      log.warn({ before, now: storeId }, "the server has another store: registering again");
      status.command([]); // its clusters are others
      return this.leave("another store", { reconnectAfterMs: 0, sameServer: true });
    }
    this.storeId = storeId;
    const { signal } = this.ending;
    await obeyVerdicts(result.verdicts, {
      ...{ storeId, endedThen: this.endedThen, journal, queue, log },
    }).catch(this.options.onJournalError);
    if (signal.aborted) return;
    log.info({ host: String(hostId), epoch: String(sessionEpoch), store: storeId }, "registered");
    onLive({ client, key: { hostId, sessionEpoch }, signal });
    const { output, onJournalError } = this.options;
    reporter.connected({
      storeId,
      credit: Math.min(mostCredit, positive(result.maxUnackedReports, defaultCredit)),
      send: (reports) => {
        for (const report of reports) this.accepted.delete(attemptText(report));
        this.say({ case: "commandReports", value: create(CommandReportsSchema, { reports }) });
      },
      stale: () => this.fail("the session is no longer the host's", Code.Aborted),
      uploads: createOutputUploads({
        ...{ journal, output, log, signal, onJournalError },
        session: {
          ...{ storeId, hostId, sessionEpoch },
          outputCap: positive(Number(result.outputCap), defaultOutputCap),
        },
        stream: createUploadStream(client, signal, log),
      }),
    });
    const everyMs = Math.min(60_000, Math.max(1_000, positive(result.heartbeatMs, 60_000)));
    status.connected((statuses) =>
      this.say({ case: "componentStatusReport", value: { statuses } }),
    );
    this.options.alerts.connected({
      storeId,
      send: (value) => this.say({ case: "alertReport", value }),
    });
    this.options.hostStatus?.connected((value) => this.say({ case: "hostStatusReport", value }), {
      serverTimeMs: Number(result.serverTimeMs),
      roundTripMs: this.registeredAt - this.askedAt,
      ageMs: performance.now() - this.registeredAt,
    });
    this.heartbeat = setInterval(() => this.beat(), everyMs);
  }

  private takeCommand(command: ExecutionCommand): void {
    const { taskId, attempt } = command;
    const key = { storeId: this.storeId, taskId: String(taskId), attempt };
    // Not awaited: commands that come together share one write to the disk. Their order is the journal's.
    takeCommand(command, key, this.options).then(({ result, reason, isNew, again }) => {
      if (isNew) this.acceptedSoon({ taskId, attempt });
      else this.say({ case: "commandAck", value: { taskId, attempt, result, reason } });
      if (again !== undefined) this.options.reporter.report(again);
    }, this.options.onJournalError);
  }

  /** Says that a command was accepted, unless a report of it goes out first: short commands cost a message less. */
  private acceptedSoon(attempt: Attempt): void {
    this.accepted.set(attemptText(attempt), attempt);
    this.ackTimer ??= setTimeout(() => {
      this.ackTimer = undefined;
      for (const { taskId, attempt } of this.accepted.values()) {
        const value = { taskId, attempt, result: AckResult.ACCEPTED, reason: "" };
        this.say({ case: "commandAck", value });
      }
      this.accepted.clear();
    }, ackDelayMs);
  }

  private cancel(key: TaskKey, reason: string): void {
    this.options.queue.cancel(key, reason).catch(this.options.onJournalError);
  }

  /** The session goes on until the moment that this agent was given, so that what is under way is acknowledged. */
  private drain({ reconnectAfterMs }: Drain): void {
    if (this.leaving !== undefined) return;
    const waitMs = Math.min(longestDrainMs, Math.max(0, reconnectAfterMs));
    this.options.log.info({ reconnectAfterMs: waitMs }, "the server goes away");
    const at = performance.now() + waitMs;
    this.leaving = {
      get reconnectAfterMs() {
        return Math.max(0, at - performance.now());
      },
    };
    this.departure = setTimeout(() => this.depart("the server goes away"), waitMs);
  }

  private beat(): void {
    this.say({ case: "heartbeat", value: { unfinished: this.options.queue.open() } });
  }

  /** Ends what belongs to the session; the journal keeps what matters. */
  close(): void {
    clearInterval(this.heartbeat);
    clearTimeout(this.departure);
    clearTimeout(this.ackTimer);
    this.options.onLive(undefined);
    this.options.reporter.disconnected();
    this.options.status.disconnected();
    this.options.alerts.disconnected();
    this.options.hostStatus?.disconnected();
    this.outbox.end();
  }
}

function attemptText({ taskId, attempt }: Attempt): string {
  return `${taskId} ${attempt}`;
}

function isStoreId(storeId: string): boolean {
  try {
    keyText({ storeId, taskId: "1", attempt: 1 });
    return true;
  } catch {
    return false;
  }
}

function positive(value: number, otherwise: number): number {
  return value > 0 ? value : otherwise;
}
