/** A session of a host, or its last one. */
export interface HostSession {
  readonly hostId: bigint;
  readonly sessionEpoch: bigint;
}

/** A host as the store has it. */
export interface StoredHost extends HostSession {
  readonly hostName: string;
  /** Whether it is HEARTBEAT_LOST. */
  readonly lost: boolean;
}

/** A session as dispatchers tell of it. */
export interface ToldSession extends HostSession {
  readonly hostName?: string;
}

/** A session that a dispatcher holds. */
export interface HeldSession extends HostSession {
  readonly dispatcher: string;
}

/** Since when a host's agent has no session, on this process's monotonic clock, and what the host counts as. */
export interface Away {
  /** Empty when it is not known. */
  readonly hostName: string;
  readonly since: number;
  readonly lost: boolean;
  /** When it counts as lost unless it comes back or something of ours fails. */
  readonly dueAt: number;
}

/** How patient the monitor is. */
export interface PresenceTimes {
  /** For how long nothing may be heard of a host. */
  readonly lostAfterMs: number;
  /** How long agents may take to find their way back after something of ours has failed. */
  readonly reconnectWindowMs: number;
  /** A store that has not answered for so long is away. */
  readonly storeSilentMs: number;
}

interface Known {
  readonly hostId: bigint;
  hostName: string;
  /** Of its last session. */
  epoch: bigint;
  /** The last session of which a dispatcher said that it ended: an older word about it is out of date. */
  closedEpoch: bigint;
  /** Who holds its session; undefined while nobody does. */
  dispatcher: string | undefined;
  /** Recorded as lost since its last session. */
  lost: boolean;
  awaySince: number;
  dueAt: number;
}

/**
 * Decides which hosts are lost: those that have been without a session for the lost interval, counted from when their agents were last
 * heard. Whenever something of ours may have kept agents from coming back (another scheduler led, a dispatcher was out of reach, the store
 * did not answer) every host that is away gets a fresh interval, and the reconnect window. While no dispatcher is in reach, or the store is
 * away, nobody is lost.
 *
 * Pure: `now` is a monotonic clock's, and everything else is told.
 */
export class Presence {
  private readonly hosts = new Map<bigint, Known>();
  /** Those without a session that are not lost. */
  private readonly away = new Set<Known>();
  private readonly inReach = new Set<string>();
  /** When the store last answered; undefined while it is away. */
  private storeHeardAt: number | undefined;
  private earliestDue = Number.POSITIVE_INFINITY;

  constructor(private readonly times: PresenceTimes) {}

  /**
   * The hosts of the store.
   * @returns the sessions of hosts that are lost in the store and that a dispatcher holds: their agents are to register again
   */
  listed(hosts: readonly StoredHost[], now: number): HeldSession[] {
    const toRegister: HeldSession[] = [];
    for (const { hostId, sessionEpoch, hostName, lost } of hosts) {
      const host = this.host(hostId);
      host.hostName = hostName;
      if (sessionEpoch < host.epoch) continue;
      if (sessionEpoch > host.epoch) {
        // A session that no dispatcher has told of, or none yet.
        host.epoch = sessionEpoch;
        host.lost = false;
        this.leave(host, now, this.freshDue(now));
      }
      if (!lost) continue;
      host.lost = true;
      this.away.delete(host);
      const { dispatcher } = host;
      if (dispatcher !== undefined) toRegister.push({ hostId, sessionEpoch, dispatcher });
    }
    return toRegister;
  }

  /** A dispatcher is in reach, and has these sessions. Returns those of lost hosts, whose agents are to register again. */
  sessions(dispatcher: string, sessions: readonly ToldSession[], now: number): HeldSession[] {
    const here = new Set(sessions.map(({ hostId }) => hostId));
    for (const host of this.hosts.values()) {
      if (host.dispatcher === dispatcher && !here.has(host.hostId)) {
        this.leave(host, now, this.freshDue(now));
      }
    }
    const toRegister = sessions.flatMap((session) => this.opened(dispatcher, session));
    if (!this.inReach.has(dispatcher)) this.freshen(now);
    this.inReach.add(dispatcher);
    return toRegister;
  }

  /** A dispatcher is out of reach: what it has is not known any more. */
  outOfReach(dispatcher: string, now: number): void {
    if (!this.inReach.delete(dispatcher)) return;
    for (const host of this.hosts.values()) {
      if (host.dispatcher === dispatcher) this.leave(host, now, this.freshDue(now));
    }
    this.freshen(now);
  }

  /** A dispatcher has a session. Returns it when its host is lost with it: its agent is to register again. */
  opened(dispatcher: string, { hostId, sessionEpoch, hostName }: ToldSession): HeldSession[] {
    const host = this.host(hostId);
    if (hostName) host.hostName = hostName;
    if (sessionEpoch < host.epoch || sessionEpoch <= host.closedEpoch) return [];
    const isLost = host.lost && host.epoch === sessionEpoch;
    host.epoch = sessionEpoch;
    host.dispatcher = dispatcher;
    host.lost = isLost;
    this.away.delete(host);
    return isLost ? [{ hostId, sessionEpoch, dispatcher }] : [];
  }

  /** A session ended; its agent was last known to be there `silentMs` ago. */
  closed({ hostId, sessionEpoch }: HostSession, silentMs: number, now: number): void {
    const host = this.host(hostId);
    if (sessionEpoch < host.epoch) return;
    if (sessionEpoch > host.epoch) host.lost = false;
    host.epoch = sessionEpoch;
    host.closedEpoch = sessionEpoch;
    const since = now - silentMs;
    this.leave(host, since, since + this.times.lostAfterMs);
  }

  /** The store has answered. Returns true when it had been away, or had not been heard before. */
  storeHeard(now: number): boolean {
    const wasAway = this.storeIsAway(now);
    this.storeHeardAt = now;
    if (wasAway) this.freshen(now);
    return wasAway;
  }

  /** The store cannot be reached. */
  storeAway(): void {
    this.storeHeardAt = undefined;
  }

  /** The hosts that are to be recorded as lost now, at most so many. */
  due(now: number, most: number): HostSession[] {
    if (this.storeIsAway(now) || this.inReach.size === 0) return [];
    const found: HostSession[] = [];
    this.earliestDue = Number.POSITIVE_INFINITY;
    for (const { hostId, epoch, dueAt } of this.away) {
      if (dueAt <= now && found.length < most) found.push({ hostId, sessionEpoch: epoch });
      else this.earliestDue = Math.min(this.earliestDue, dueAt);
    }
    return found;
  }

  /** When `due` is to be asked next, at the earliest; undefined when nothing will be due unless something happens. */
  nextDue(now: number): number | undefined {
    if (this.storeIsAway(now) || this.inReach.size === 0) return undefined;
    return this.earliestDue === Number.POSITIVE_INFINITY ? undefined : this.earliestDue;
  }

  /**
   * What became of hosts that were due: those in `lostIds` are lost. The store passed the others over, since they have a session that we
   * do not know of: they get another interval. Returns the names of the lost ones.
   */
  recorded(asked: readonly HostSession[], lostIds: ReadonlySet<bigint>, now: number): string[] {
    const names: string[] = [];
    for (const { hostId, sessionEpoch } of asked) {
      const host = this.host(hostId);
      if (lostIds.has(hostId)) names.push(host.hostName || `host ${hostId}`);
      if (host.epoch !== sessionEpoch) continue;
      if (lostIds.has(hostId)) {
        host.lost = true;
        this.away.delete(host);
      } else if (this.away.has(host)) this.setDue(host, now + this.times.lostAfterMs);
    }
    return names;
  }

  /** Since when a host is away; undefined while it has a session, or is not known. */
  awayOf(hostId: bigint): Away | undefined {
    const host = this.hosts.get(hostId);
    if (host === undefined || (host.dispatcher !== undefined && !host.lost)) return undefined;
    const { hostName, awaySince: since, lost, dueAt } = host;
    return { hostName, since, lost, dueAt };
  }

  private host(hostId: bigint): Known {
    let host = this.hosts.get(hostId);
    if (host === undefined) {
      host = {
        ...{ hostId, hostName: "", epoch: 0n, closedEpoch: 0n, dispatcher: undefined, lost: false },
        ...{ awaySince: 0, dueAt: Number.POSITIVE_INFINITY },
      };
      this.hosts.set(hostId, host);
    }
    return host;
  }

  private leave(host: Known, since: number, dueAt: number): void {
    host.dispatcher = undefined;
    host.awaySince = since;
    if (host.lost) return;
    this.away.add(host);
    this.setDue(host, dueAt);
  }

  private setDue(host: Known, dueAt: number): void {
    host.dueAt = dueAt;
    this.earliestDue = Math.min(this.earliestDue, dueAt);
  }

  private freshDue(now: number): number {
    return now + this.times.lostAfterMs + this.times.reconnectWindowMs;
  }

  private freshen(now: number): void {
    const dueAt = this.freshDue(now);
    for (const host of this.away) host.dueAt = dueAt;
    if (this.away.size > 0) this.earliestDue = dueAt;
  }

  private storeIsAway(now: number): boolean {
    return this.storeHeardAt === undefined || now - this.storeHeardAt > this.times.storeSilentMs;
  }
}
