import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { ProbeSchema, type ReportAcked } from "@howdah/proto/howdah/v1/agent_service";
import {
  type Session as SessionMessage,
  SessionSchema,
} from "@howdah/proto/howdah/v1/dispatcher_service";
import type { SessionKey } from "@howdah/proto/howdah/v1/store_sessions";
import { SessionKeySchema } from "@howdah/proto/howdah/v1/store_sessions";
import type { Outbox } from "./outbox.js";

/** Who an agent is and where it comes from; fixed for the life of a session. */
export interface SessionIdentity {
  readonly hostId: bigint;
  readonly hostName: string;
  readonly epoch: bigint;
  readonly agentId: string;
  readonly journalId: string;
  readonly agentVersion: string;
  readonly peerAddress: string;
}

/** One registration of one agent. */
export class Session {
  /** False once it ended, or another session of the host took its place. */
  current = true;
  /** True once another session of the host took its place: nothing of it is passed on any more. */
  replaced = false;
  #passedOn = 0;
  #gaveUp = false;
  #heardAt = performance.now();
  /** Undefined while nobody probes. */
  #probes: Set<(alive: boolean) => void> | undefined;

  constructor(
    readonly identity: SessionIdentity,
    readonly outbox: Outbox,
  ) {}

  /** The session as the store names it. */
  get key(): SessionKey {
    const { hostId, epoch } = this.identity;
    return create(SessionKeySchema, { hostId, sessionEpoch: epoch });
  }

  /** How long nothing was heard of the agent, on our monotonic clock. */
  get silentMs(): number {
    return Math.max(0, Math.round(performance.now() - this.#heardAt));
  }

  /**
   * How long ago the agent was last known to be there, once its stream has ended; 0 when the end was its own doing, or ours for another
   * reason than its silence.
   * @param peerSilentMs for how long nothing had come from its connection when that was given up; 0 when it was not
   */
  silentAtEnd(peerSilentMs: number): number {
    return this.#gaveUp ? this.silentMs : Math.min(this.silentMs, peerSilentMs);
  }

  /** Takes note that the agent said something. */
  heard(): void {
    this.#heardAt = performance.now();
    for (const settle of this.#probes ?? []) settle(true);
  }

  /** Takes note that the session is over. */
  end(replaced: boolean): void {
    this.current = false;
    this.replaced = replaced;
    for (const settle of this.#probes ?? []) settle(false);
  }

  /** Reports whose acknowledgement is not written to the stream yet. */
  get unacknowledged(): number {
    return this.#passedOn + this.outbox.waitingAcks;
  }

  /** Counts a report that will be acknowledged. */
  reported(): void {
    this.#passedOn += 1;
  }

  /** Gives a report back to its sender as done with. */
  acknowledge(ack: ReportAcked): void {
    this.#passedOn -= 1;
    if (this.current) this.outbox.acknowledge(ack);
  }

  /** Ends the session's stream with a reason; the end of the stream then ends the session. */
  drop(reason: string, code: Code = Code.Aborted): void {
    this.outbox.end(new ConnectError(reason, code));
  }

  /** Ends the session's stream because nothing is heard of its agent. */
  giveUp(): void {
    this.#gaveUp = true;
    this.drop(`nothing was heard for ${this.silentMs} ms`, Code.DeadlineExceeded);
  }

  /** Asks the agent whether it is there. False when it said nothing within `timeoutMs`, or the session ended. */
  probe(timeoutMs: number): Promise<boolean> {
    if (!this.current || this.outbox.ended) return Promise.resolve(false);
    this.outbox.say({ case: "probe", value: create(ProbeSchema) });
    this.#probes ??= new Set();
    const probes = this.#probes;
    return new Promise((resolve) => {
      const settle = (alive: boolean) => {
        clearTimeout(timer);
        probes.delete(settle);
        if (probes.size === 0) this.#probes = undefined;
        resolve(alive);
      };
      const timer = setTimeout(() => settle(false), timeoutMs);
      probes.add(settle);
    });
  }

  /** The session as it is told to schedulers and people. */
  toMessage(): SessionMessage {
    const { epoch, agentId: _, ...identity } = this.identity;
    return create(SessionSchema, {
      ...identity,
      sessionEpoch: epoch,
      silentMs: BigInt(this.silentMs),
      queuedCommands: this.outbox.queuedCommands,
    });
  }
}
