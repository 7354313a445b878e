import { create, toJson } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import {
  AckResult,
  type AgentService,
  type AttemptVerdict,
  type ConnectRequest,
  ConnectRequestSchema,
  type ConnectResponse,
  JournalEntrySchema,
  JournalState,
  type JournalEntry as ListedEntry,
  type RegistrationResult,
  type UploadOutputRequest,
  Verdict,
} from "@howdah/proto/howdah/v1/agent_service";
import { type ExecutionCommand, ExecutionCommandSchema } from "@howdah/proto/howdah/v1/command";
import type { Logger } from "pino";
import type { Journal } from "../journal/journal.js";
import { JournalFullError } from "../journal/journal-file.js";
import type { Json } from "../json.js";
import { bootId } from "../process-table.js";
import type { CommandQueue } from "../run/queue.js";
import type { TaskKey } from "../task-key.js";
import { hostFacts } from "./host-facts.js";
import { Outbox } from "./outbox.js";
import type { OutputUploads } from "./output-uploads.js";
import type { Reporter } from "./reporter.js";

/** A session that lives, for those who call the server beside the stream. */
export interface LiveSession {
  readonly client: Client<typeof AgentService>;
  readonly key: { readonly hostId: bigint; readonly sessionEpoch: bigint };
  /** Aborts when the session ends. */
  readonly signal: AbortSignal;
}

/** What a session works with. */
export interface SessionOptions {
  readonly client: Client<typeof AgentService>;
  readonly hostName: string;
  readonly agentVersion: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly journal: Journal;
  readonly queue: CommandQueue;
  readonly reporter: Reporter;
  readonly uploads: OutputUploads;
  readonly log: Logger;
  /** Told when the session lives, and with undefined when it ends. */
  readonly onLive: (session: LiveSession | undefined) => void;
  /** The store the agent last served; the session sets it. */
  readonly lastStore: { storeId: string };
}

/** How a session came to its end. */
export interface SessionEnd {
  /** Whether it was registered at all. */
  readonly registered: boolean;
  /** What the server asked to wait before the next try; undefined when it asked for nothing. */
  readonly reconnectAfterMs?: number;
}

const entriesPerMessage = 1_000;
const states = {
  RECEIVED: JournalState.RECEIVED,
  RUNNING: JournalState.RUNNING,
  ENDED: JournalState.ENDED,
} as const;

/** Runs one session from registration to its end. Rejects when it is refused or lost; resolves when the server ends it. */
export async function runSession(options: SessionOptions, stop: AbortSignal): Promise<SessionEnd> {
  const { client, log } = options;
  const outbox = new Outbox<ConnectRequest>();
  const ending = new AbortController();
  const signal = AbortSignal.any([stop, ending.signal]);
  const session = new Session(options, outbox, ending.signal, (error) => ending.abort(error));
  for (const message of registration(options)) outbox.put(message);
  try {
    const stream = client.connect(outbox, { signal: ending.signal, timeoutMs: 0 });
    const goodbye = () => {
      outbox.put(
        create(ConnectRequestSchema, {
          message: { case: "goodbye", value: { reason: "the agent stops" } },
        }),
      );
      outbox.end();
      // A server that does not end the stream in answer is not waited for.
      setTimeout(() => ending.abort(), 1_000).unref();
    };
    stop.addEventListener("abort", goodbye, { once: true });
    try {
      for await (const message of stream) {
        const end = await session.take(message);
        if (end !== undefined) return end;
      }
    } finally {
      stop.removeEventListener("abort", goodbye);
    }
    return { registered: session.registered };
  } catch (error) {
    if (signal.aborted && stop.aborted) return { registered: session.registered };
    throw error;
  } finally {
    session.close();
    outbox.end();
    ending.abort();
    log.debug("session over");
  }
}

/** Register, and more of it when the journal has more than one message holds. */
function* registration(options: SessionOptions): Generator<ConnectRequest> {
  const { journal, lastStore } = options;
  const open = journal
    .entries()
    .filter(
      ({ key, acknowledgedAtMs }) => key.storeId === lastStore.storeId && acknowledgedAtMs === null,
    );
  const listed: ListedEntry[] = open.map(({ key, state }) =>
    create(JournalEntrySchema, {
      taskId: BigInt(key.taskId),
      attempt: key.attempt,
      state: states[state],
    }),
  );
  const first = {
    hostName: options.hostName,
    agentId: journal.agentId,
    journalId: journal.journalId,
    bootId: bootId(),
    storeId: lastStore.storeId,
    agentVersion: options.agentVersion,
    labels: { ...options.labels },
    factsJson: JSON.stringify(hostFacts()),
  };
  let from = 0;
  do {
    const entries = listed.slice(from, from + entriesPerMessage);
    from += entriesPerMessage;
    const more = from < listed.length;
    yield create(ConnectRequestSchema, {
      message: { case: "register", value: { ...first, entries, more } },
    });
  } while (from < listed.length);
}

/** What the agent does with what the server says on the stream. */
class Session {
  registered = false;
  private storeId = "";
  private heartbeat: NodeJS.Timeout | undefined;
  private uploads: Outbox<UploadOutputRequest> | undefined;

  constructor(
    private readonly options: SessionOptions,
    private readonly outbox: Outbox<ConnectRequest>,
    private readonly signal: AbortSignal,
    /** Ends the session because of an error. */
    private readonly fail: (error: unknown) => void,
  ) {}

  private put(message: ConnectRequest["message"] & { case: string }): void {
    this.outbox.put(create(ConnectRequestSchema, { message }));
  }

  /** Takes a message; says so when the session is to end. */
  async take({ message }: ConnectResponse): Promise<SessionEnd | undefined> {
    const { reporter, queue, log } = this.options;
    switch (message.case) {
      case "registrationResult":
        return this.begin(message.value);
      case "executionCommand":
        // Not awaited: commands that come together share one write to the disk. Their order is the journal's.
        this.accept(message.value).catch((error: unknown) => this.fail(error));
        return undefined;
      case "cancelCommand":
        queue
          .cancel(this.key(message.value), message.value.reason)
          .catch((error: unknown) => this.fail(error));
        return undefined;
      case "reportAck":
        await reporter.acknowledged(message.value.acks, this.storeId);
        return undefined;
      case "probe":
        this.beat();
        return undefined;
      case "drain":
        log.info({ reconnectAfterMs: message.value.reconnectAfterMs }, "the server goes away");
        return { registered: true, reconnectAfterMs: message.value.reconnectAfterMs };
      case "registrationCommand":
        log.info({ reason: message.value.reason }, "asked to register again");
        return { registered: this.registered, reconnectAfterMs: 0 };
      case "unsupported":
        log.warn({ ...message.value }, "the server did not understand a message");
        return undefined;
      default:
        this.unsupported(message.case);
        return undefined;
    }
  }

  private unsupported(variant: string | undefined): void {
    const detail = variant === undefined ? "an unknown message" : `${variant} is not built yet`;
    this.options.log.warn(`the server sent what this agent cannot do: ${detail}`);
    const value = { $typeName: "howdah.v1.Unsupported" as const, fieldNumber: 0, detail };
    this.put({ case: "unsupported", value });
  }

  private key({ taskId, attempt }: { taskId: bigint; attempt: number }): TaskKey {
    return { storeId: this.storeId, taskId: String(taskId), attempt };
  }

  private async begin(result: RegistrationResult): Promise<SessionEnd | undefined> {
    const { lastStore, log, reporter, uploads, onLive, client } = this.options;
    if (result.storeId !== lastStore.storeId) {
      const before = lastStore.storeId;
      lastStore.storeId = result.storeId;
      if (before !== "") {
        // The journal listed attempts of another store: what the server said of them means nothing.
        log.warn(
          { before, now: result.storeId },
          "the server has another store: registering again",
        );
        return { registered: true, reconnectAfterMs: 0 };
      }
    }
    this.registered = true;
    this.storeId = result.storeId;
    const session = { hostId: result.hostId, sessionEpoch: result.sessionEpoch };
    log.info({ host: session.hostId, epoch: session.sessionEpoch }, "registered");
    onLive({ client, key: session, signal: this.signal });
    const sent = this.openUploads();
    uploads.connected({
      storeId: result.storeId,
      ...session,
      cap: Number(result.outputCap) || 64 * 1024 * 1024,
      send: (request) => sent.put(request),
    });
    await this.obey(result.verdicts);
    reporter.connected({
      storeId: result.storeId,
      credit: result.maxUnackedReports || 100,
      send: (value) => this.put({ case: "commandReport", value }),
    });
    this.heartbeat = setInterval(() => this.beat(), result.heartbeatMs || 60_000);
    return undefined;
  }

  private async obey(verdicts: readonly AttemptVerdict[]): Promise<void> {
    const { journal, queue, uploads } = this.options;
    for (const verdict of verdicts) {
      const key = this.key(verdict);
      const entry = journal.entry(key);
      if (entry === undefined) continue;
      if (verdict.verdict === Verdict.CANCEL) await queue.cancel(key, verdict.reason);
      else if (verdict.verdict === Verdict.FORGET) {
        // Its result is stored; its output may not be, which the upload finds out.
        if (entry.state === "ENDED") await uploads.finish(entry);
        else await queue.cancel(key, "the server no longer wants this attempt");
      }
    }
  }

  /** The stream for output: one a session, its answers read beside the session's own stream. */
  private openUploads(): Outbox<UploadOutputRequest> {
    const { client, uploads, log } = this.options;
    const outbox = new Outbox<UploadOutputRequest>();
    this.uploads = outbox;
    const follow = async () => {
      const stream = client.uploadOutput(outbox, { signal: this.signal, timeoutMs: 0 });
      for await (const response of stream) await uploads.answered(response, this.storeId);
    };
    follow().catch((error: unknown) => {
      if (!this.signal.aborted) log.warn({ err: error }, "the stream for output broke off");
    });
    return outbox;
  }

  private beat(): void {
    const unfinished = this.options.queue.open();
    const value = { $typeName: "howdah.v1.Heartbeat" as const, unfinished };
    this.put({ case: "heartbeat", value });
  }

  private async accept(command: ExecutionCommand): Promise<void> {
    const { queue, journal, reporter, log } = this.options;
    const key = this.key(command);
    let result = AckResult.ACCEPTED;
    let reason = "";
    try {
      if (command.cancelRequested) await queue.cancel(key, "the request was cancelled");
      const answer = await queue.accept(key, toJson(ExecutionCommandSchema, command) as Json);
      const known = journal.entry(key);
      if (answer === "known" && known !== undefined && known.state !== "RECEIVED") {
        // It was sent again because nothing was heard of it: say again what is known.
        if (known.acknowledgedAtMs === null) reporter.report(known);
      }
      if (answer === "attempt-alive") result = AckResult.ATTEMPT_ALIVE;
      if (answer === "superseded") result = AckResult.REFUSED;
      if (answer === "attempt-alive" || answer === "superseded") reason = answer;
    } catch (error) {
      if (!(error instanceof JournalFullError)) throw error;
      result = AckResult.REFUSED;
      reason = error.message;
      reporter.refused(key, reason);
      log.error({ task: key.taskId }, `command refused: ${reason}`);
    }
    const { taskId, attempt } = command;
    this.put({
      case: "commandAck",
      value: { $typeName: "howdah.v1.CommandAck", taskId, attempt, result, reason },
    });
  }

  /** Ends what belongs to the session; the journal keeps what matters. */
  close(): void {
    clearInterval(this.heartbeat);
    this.options.onLive(undefined);
    this.options.reporter.disconnected();
    this.options.uploads.disconnected();
    this.uploads?.end();
  }
}

/** Whether an error means that the server refuses this agent, and why: for the log, once a try. */
export function refusal(error: unknown): string {
  const { code, rawMessage } = ConnectError.from(error);
  return `${Code[code]}: ${rawMessage}`;
}
