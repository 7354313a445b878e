import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { RegistrationResultSchema } from "@howdah/proto/howdah/v1/agent_registration";
import type {
  ConnectRequest,
  ConnectRequestSchema,
  ConnectResponseSchema,
} from "@howdah/proto/howdah/v1/agent_service";
import type { ServedStream, StreamListener } from "@howdah/rpc/served-stream";
import { peerSilentMs } from "@howdah/rpc/silent-peer";
import type { OpenSession } from "./open-session.js";
import type { OpenStreams } from "./open-streams.js";
import { Outbox } from "./outbox.js";
import { reconcile } from "./reconcile.js";
import { createRegistrationReader, type Registration } from "./registration.js";
import { Session } from "./session.js";
import type { SessionRegistry } from "./session-registry.js";
import { type SessionTalkParts, sayUnsupported, takeSaid } from "./session-talk.js";

/** What every agent's stream needs. */
export interface AgentStreamParts extends SessionTalkParts {
  readonly registry: SessionRegistry;
  readonly openSession: OpenSession;
  /** Has the streams that are open. */
  readonly openStreams: OpenStreams;
  /** Milliseconds since 1970, told to agents for comparison. */
  readonly wallMs: () => number;
  readonly heartbeatMs: number;
  readonly outputCap: bigint;
  /** How long a stream may be open without a registration. */
  readonly registerWithinMs: number;
}

/** What is only there until the agent has registered. */
interface Registering {
  readonly readPage: ReturnType<typeof createRegistrationReader>;
  readonly late: NodeJS.Timeout;
  /** Aborted when the stream is over. */
  readonly ending: AbortController;
  /** All pages have come, and a session is being opened. */
  isOpening: boolean;
}

/**
 * One agent's stream: reads until it ends, however it does; then the outbox has ended too, and the session if there was one. Nothing here
 * waits for the store but the registration, so that a slow store never makes a host look lost.
 */
export class AgentStream implements StreamListener<typeof ConnectRequestSchema> {
  readonly outbox: Outbox;
  readonly #parts: AgentStreamParts;
  readonly #stream: ServedStream<typeof ConnectResponseSchema>;
  #registering: Registering | undefined;
  #session: Session | undefined;
  #goodbye = false;
  /** Nothing is read any more. */
  #isRead = false;
  #reason: ConnectError | undefined;

  /** Begins to read; it is among the open streams until it has ended. */
  constructor(parts: AgentStreamParts, stream: ServedStream<typeof ConnectResponseSchema>) {
    this.#parts = parts;
    this.#stream = stream;
    this.outbox = new Outbox(stream, () => this.#endSession());
    const { registerWithinMs } = parts;
    this.#registering = {
      readPage: createRegistrationReader(),
      late: setTimeout(() => {
        const what = `no session was opened within ${registerWithinMs} ms; register again`;
        this.outbox.end(new ConnectError(what, Code.DeadlineExceeded));
      }, registerWithinMs),
      ending: new AbortController(),
      isOpening: false,
    };
    parts.openStreams.add(this);
    stream.read();
  }

  /** Whether the agent has registered. */
  get registered(): boolean {
    return this.#session !== undefined;
  }

  message(request: ConnectRequest): void {
    if (this.#isRead) return;
    try {
      const registration = this.#take(request);
      if (registration === undefined) this.#readOn();
      else void this.#register(registration);
    } catch (error) {
      this.#fail(error);
    }
  }

  requestsEnded(): void {
    this.outbox.end();
    this.#stopReading();
  }

  writable(): void {
    this.outbox.writable();
  }

  over(reason: ConnectError): void {
    this.#reason = reason;
    this.#registering?.ending.abort(reason);
    this.outbox.end(reason);
    this.#stopReading();
  }

  /** Takes a message; the registration once all of its pages are there. */
  #take(request: ConnectRequest): Registration | undefined {
    const { message } = request;
    const { log } = this.#parts;
    switch (message.case) {
      case undefined: {
        const field = request.$unknown?.[0]?.no ?? 0;
        sayUnsupported(this.outbox, field, "this dispatcher does not know the message");
        return undefined;
      }
      case "register":
        if (this.#registering === undefined) {
          throw refuse("the agent is registered on this stream already; register on a new one");
        }
        return this.#registering.readPage(message.value);
      case "goodbye":
        this.#goodbye = true;
        return undefined;
    }
    if (this.#session === undefined) {
      const peerAddress = this.#stream.peer.address;
      log.warn({ peerAddress, message: message.case }, "an agent spoke before it registered");
      this.outbox.askToRegister(`the first message must be register, not ${message.case}`);
    } else takeSaid(this.#parts, this.#session, message);
    return undefined;
  }

  #readOn(): void {
    if (this.#isRead) return;
    if (this.#goodbye || this.outbox.ended) this.requestsEnded();
    else this.#stream.read();
  }

  #fail(error: unknown): void {
    this.outbox.end(ConnectError.from(error, Code.Canceled));
    this.#stopReading();
  }

  #stopReading(): void {
    this.#isRead = true;
    this.#endSession();
    if (this.#registering?.isOpening !== true) this.#settle();
  }

  /** What there is until the agent has registered goes; a session that is being opened was waited for. */
  #settle(): void {
    clearTimeout(this.#registering?.late);
    this.#registering = undefined;
    if (this.#isRead) this.#parts.openStreams.delete(this);
  }

  #endSession(): void {
    if (this.#session === undefined) return;
    const silentMs = this.#session.silentAtEnd(peerSilentMs({ reason: this.#reason }));
    const end = this.#goodbye ? "goodbye" : "lost";
    this.#parts.registry.close(this.#session, end, silentMs);
  }

  async #register(registration: Registration): Promise<void> {
    const registering = this.#registering;
    if (registering === undefined) return;
    registering.isOpening = true;
    try {
      await this.#open(registration, registering.ending.signal);
    } catch (error) {
      this.#fail(error);
    } finally {
      registering.isOpening = false;
      this.#settle();
    }
    // If the stream has ended meanwhile, so does the session.
    if (this.#isRead) this.#endSession();
    else this.#readOn();
  }

  async #open(registration: Registration, signal: AbortSignal): Promise<void> {
    const { openSession, registry, maxUnackedReports, heartbeatMs, outputCap } = this.#parts;
    const { register: said, hostName, entries } = registration;
    const peerAddress = this.#stream.peer.address;
    const opened = await openSession(registration, peerAddress, signal);
    const { hostId, sessionEpoch: epoch, storeId, tasks } = opened;
    const { agentId, journalId, agentVersion } = said;
    const listed = said.storeId === storeId ? entries : [];
    const { verdicts, commands } = reconcile(listed, tasks, opened.commands);
    const { outbox } = this;
    outbox.say({
      case: "registrationResult",
      value: create(RegistrationResultSchema, {
        ...{ storeId, hostId, sessionEpoch: epoch, verdicts },
        ...{ maxUnackedReports, heartbeatMs, outputCap },
        serverTimeMs: BigInt(this.#parts.wallMs()),
      }),
    });
    for (const command of commands) outbox.queue.addCommand(command);
    const session = new Session(
      { hostId, hostName, epoch, agentId, journalId, agentVersion, peerAddress },
      outbox,
    );
    outbox.wake();
    if (registry.open(session)) this.#session = session;
    else session.drop("the host's agent has a newer session");
  }
}

function refuse(what: string): ConnectError {
  return new ConnectError(what, Code.FailedPrecondition);
}
