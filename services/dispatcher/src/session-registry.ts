import type { Logger } from "pino";
import type { Session } from "./session.js";

/** Why a session ended. */
export type SessionEnd = "goodbye" | "lost" | "replaced";

/** Who is told of sessions. */
export interface SessionListener {
  opened(session: Session): void;
  /** A replaced session is not the host's any more; one that said goodbye or was lost still is, for the store. */
  closed(session: Session, end: SessionEnd): void;
}

/** For how long the commands of an ended session are remembered as written. */
const rememberMs = 60_000;

/** The sessions of this dispatcher: at most one for each host. */
export class SessionRegistry {
  readonly #byHost = new Map<bigint, Session>();
  /** Commands that ended sessions had written, by host: they may have reached their agents. */
  readonly #written = new Map<bigint, { epoch: bigint; keys: ReadonlySet<string>; at: number }>();

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

  /** Whether an ended session of that epoch had written the attempt to its stream. */
  wasWritten(hostId: bigint, epoch: bigint, key: string): boolean {
    const written = this.#written.get(hostId);
    return written?.epoch === epoch && written.keys.has(key);
  }

  /** Makes a session its host's current one. False when a newer one is here: then the caller's is of no use. */
  open(session: Session): boolean {
    const { hostId, epoch, hostName, peerAddress } = session.identity;
    const old = this.#byHost.get(hostId);
    if (old !== undefined) {
      if (old.identity.epoch >= epoch) return false;
      this.#end(old, "replaced");
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

  /** Ends a session. Nothing happens if it is over already. */
  close(session: Session, end: "goodbye" | "lost"): void {
    if (session.current) this.#end(session, end);
  }

  /** Forgets what was remembered of sessions that ended a while ago. */
  forget(): void {
    const before = performance.now() - rememberMs;
    for (const [hostId, { at }] of this.#written) {
      if (at > before) return;
      this.#written.delete(hostId);
    }
  }

  #end(session: Session, end: SessionEnd): void {
    const { hostId, hostName, epoch } = session.identity;
    session.end(end === "replaced");
    if (this.#byHost.get(hostId) === session) this.#byHost.delete(hostId);
    const keys = session.outbox.queue.written;
    this.#written.delete(hostId);
    if (keys.size > 0) this.#written.set(hostId, { epoch, keys, at: performance.now() });
    this.log.info(
      { hostId: String(hostId), hostName, epoch: String(epoch), end },
      "session closed",
    );
    this.listener.closed(session, end);
  }
}
