import type { Logger } from "pino";
import type { Session } from "./session.js";

/** Why a session ended. */
export type SessionEnd = "goodbye" | "lost" | "replaced";

/** Who is told of sessions. */
export interface SessionListener {
  opened(session: Session): void;
  /**
   * A replaced session is not the host's any more; one that said goodbye or was lost still is, for the store. `silentMs`: how long ago
   * its agent was last known to be there.
   */
  closed(session: Session, end: SessionEnd, silentMs: number): void;
}

/** For how long an ended session and what it had written are remembered. */
const rememberMs = 60_000;

/** The sessions of this dispatcher: at most one for each host. */
export class SessionRegistry {
  readonly #byHost = new Map<bigint, Session>();
  /** The last session of a host that ended here, and the commands it had written: they may have reached the agent. */
  readonly #ended = new Map<bigint, { epoch: bigint; written: ReadonlySet<string>; at: number }>();

  constructor(
    private readonly listener: SessionListener,
    private readonly log: Logger,
  ) {}

  get size(): number {
    return this.#byHost.size;
  }

  /** All sessions, in no order. */
  all(): Session[] {
    return [...this.#byHost.values()];
  }

  /** The host's session, if it is here. */
  ofHost(hostId: bigint): Session | undefined {
    return this.#byHost.get(hostId);
  }

  /** The session of that very epoch, if it is here and current. */
  find(hostId: bigint, epoch: bigint): Session | undefined {
    const session = this.#byHost.get(hostId);
    return session?.identity.epoch === epoch ? session : undefined;
  }

  /**
   * Whether the attempt, released to that session, is known never to have been written: the session ended here without it, or the
   * host has a newer one here. Of a session that this process never had nothing is known: the process before it may have written it.
   */
  neverWritten(hostId: bigint, epoch: bigint, key: string): boolean {
    const ended = this.#ended.get(hostId);
    if (ended?.epoch === epoch) return !ended.written.has(key);
    const newer = this.#byHost.get(hostId);
    return newer !== undefined && newer.identity.epoch > epoch;
  }

  /** Makes a session its host's current one. False when a newer one is here: then the caller's is of no use. */
  open(session: Session): boolean {
    const { hostId, epoch, hostName, peerAddress } = session.identity;
    const old = this.#byHost.get(hostId);
    if (old !== undefined) {
      if (old.identity.epoch >= epoch) return false;
      this.#end(old, "replaced", 0);
      old.drop(`the host's agent has a newer session (epoch ${epoch}) from ${peerAddress}`);
    }
    this.#byHost.set(hostId, session);
    this.log.info(
      { hostId: String(hostId), hostName, epoch: String(epoch), peerAddress },
      "session opened",
    );
    this.listener.opened(session);
    return true;
  }

  /** Ends a session whose agent was last known to be there so long ago. Nothing happens if it is over already. */
  close(session: Session, end: "goodbye" | "lost", silentMs: number): void {
    if (session.current) this.#end(session, end, silentMs);
  }

  /** Forgets what was remembered of sessions that ended a while ago. */
  forget(): void {
    const before = performance.now() - rememberMs;
    for (const [hostId, { at }] of this.#ended) {
      if (at > before) return;
      this.#ended.delete(hostId);
    }
  }

  #end(session: Session, end: SessionEnd, silentMs: number): void {
    const { hostId, hostName, epoch } = session.identity;
    session.end(end === "replaced");
    if (this.#byHost.get(hostId) === session) this.#byHost.delete(hostId);
    const { written } = session.outbox;
    // Deleted first, so that the oldest stand first.
    this.#ended.delete(hostId);
    this.#ended.set(hostId, { epoch, written, at: performance.now() });
    this.log.info(
      { hostId: String(hostId), hostName, epoch: String(epoch), end, silentMs },
      "session closed",
    );
    this.listener.closed(session, end, silentMs);
  }
}
