import { setTimeout as sleep } from "node:timers/promises";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { Session } from "@howdah/proto/howdah/v1/dispatcher_service";
import { type Host, HostState } from "@howdah/proto/howdah/v1/fleet";
import type { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import type { Lease } from "@howdah/proto/howdah/v1/store_leases";
import type { Logger } from "pino";
import type { SessionEvents } from "../engine/dispatcher-link.js";
import { StaleOwnerError } from "../engine/recorder.js";
import { shorten } from "../planner/operation.js";
import { listHosts } from "../select-hosts.js";
import { LeaseWatch } from "./lease-watch.js";
import { type Away, type HeldSession, type HostSession, Presence } from "./presence.js";

/** How patient the host monitor is. */
export interface MonitorTimes {
  /** For how long nothing may be heard of a host before it is lost. Default 30,000. */
  readonly lostAfterMs?: number;
  /**
   * Added after a failure of our own. Default 15,000: an agent pauses for 10 s at most before it tries to connect again, and a fleet needs
   * a while to register.
   */
  readonly reconnectWindowMs?: number;
}

/** What the host monitor needs. */
export interface HostMonitorOptions extends MonitorTimes {
  readonly store: Client<typeof CommandStoreService>;
  readonly fleet: Client<typeof FleetService>;
  /** The token of the scheduler's lease. */
  readonly token: bigint;
  readonly log: Logger;
  /** Has the agents of these sessions of a dispatcher register again. */
  readonly registerAgain: (dispatcher: string, sessions: readonly HostSession[]) => void;
}

const mostPerCall = 1_000;
const callMs = 5_000;
const retryMs = 1_000;
/** As long as a lease: the store is asked for those of the dispatchers every two or three seconds. */
const storeSilentMs = 6_000;

/** Records which hosts are lost, while its scheduler leads. */
export class HostMonitor implements SessionEvents {
  private readonly presence: Presence;
  private readonly leases = new LeaseWatch();
  /** The hosts of the store are to be read: at first, and when sessions may have come and gone unseen. */
  private toList = true;
  private wake: () => void = () => undefined;
  private wakesAt = Number.POSITIVE_INFINITY;

  constructor(private readonly options: HostMonitorOptions) {
    const { lostAfterMs = 30_000, reconnectWindowMs = 15_000 } = options;
    this.presence = new Presence({ lostAfterMs, reconnectWindowMs, storeSilentMs });
  }

  /**
   * Watches until the signal aborts. Its first word to the store keeps a former scheduler from recording any more. Rejects with
   * StaleOwnerError when another scheduler has taken over.
   */
  async run(signal: AbortSignal): Promise<void> {
    let claimed = false;
    signal.addEventListener("abort", () => this.wake(), { once: true });
    while (!signal.aborted) {
      try {
        if (!claimed) await this.record([], signal);
        claimed = true;
        if (this.toList) await this.list(signal);
        const due = this.presence.due(performance.now(), mostPerCall);
        if (due.length > 0) await this.record(due, signal);
        else await this.sleepUntilDue(signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof StaleOwnerError) throw error;
        // Whatever was asked may have been done: after this the hosts are read again.
        this.storeAway();
        const { rawMessage } = ConnectError.from(error);
        this.options.log.warn(`host monitor: the store cannot be asked, trying on: ${rawMessage}`);
        await sleep(retryMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** Since when a host is away; undefined while it has a session, or is not known. */
  awayOf(hostId: bigint): Away | undefined {
    return this.presence.awayOf(hostId);
  }

  /** The store has answered with the dispatchers' leases. */
  storeHeard(leases: readonly Lease[]): void {
    const now = performance.now();
    if (this.presence.storeHeard(now)) {
      this.leases.restart();
      this.toList = true;
      this.wake();
    }
    this.leases.look(leases, now);
  }

  /** The store cannot be reached. */
  storeAway(): void {
    this.presence.storeAway();
  }

  /** @inheritdoc */
  sessions(dispatcher: string, sessions: readonly Session[]): void {
    this.registerAgain(this.presence.sessions(dispatcher, sessions, performance.now()));
    // Sessions may have come and gone while it was out of reach.
    this.toList = true;
    this.wake();
  }

  /** @inheritdoc */
  outOfReach(dispatcher: string): void {
    this.presence.outOfReach(dispatcher, performance.now());
    this.look();
  }

  /** @inheritdoc */
  opened(dispatcher: string, session: Session): void {
    this.registerAgain(this.presence.opened(dispatcher, session));
  }

  /** @inheritdoc */
  closed(hostId: bigint, sessionEpoch: bigint, silentMs: number): void {
    this.presence.closed({ hostId, sessionEpoch }, silentMs, performance.now());
    this.look();
  }

  private registerAgain(sessions: readonly HeldSession[]): void {
    for (const dispatcher of new Set(sessions.map((session) => session.dispatcher))) {
      const held = sessions.filter((session) => session.dispatcher === dispatcher);
      this.options.log.info({ dispatcher, hosts: held.length }, "lost hosts are to register again");
      this.options.registerAgain(dispatcher, held);
    }
  }

  private async list(signal: AbortSignal): Promise<void> {
    this.toList = false;
    try {
      const hosts = await listHosts(this.options.fleet, undefined, signal);
      this.registerAgain(this.presence.listed(hosts.map(toStored), performance.now()));
    } catch (error) {
      this.toList = true;
      throw error;
    }
  }

  private async record(hosts: HostSession[], signal: AbortSignal): Promise<void> {
    const { store, token, log } = this.options;
    try {
      const { lostHostIds } = await store.recordLostHosts(
        {
          ...{ schedulerToken: token, hosts },
          expiredLeases: this.leases.expired(performance.now()),
        },
        { signal, timeoutMs: callMs },
      );
      const names = this.presence.recorded(hosts, new Set(lostHostIds), performance.now());
      if (names.length > 0) log.warn({ hosts: names.length }, `lost: ${shorten(names)}`);
    } catch (error) {
      const { code, rawMessage } = ConnectError.from(error);
      throw code === Code.FailedPrecondition ? new StaleOwnerError(rawMessage) : error;
    }
  }

  /** Wakes the loop when something is due before it would wake by itself. */
  private look(): void {
    const due = this.presence.nextDue(performance.now());
    if (due !== undefined && due < this.wakesAt) this.wake();
  }

  private async sleepUntilDue(signal: AbortSignal): Promise<void> {
    const now = performance.now();
    const due = this.presence.nextDue(now);
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.wake = resolve;
      if (signal.aborted || this.toList) resolve();
      if (due === undefined) return;
      this.wakesAt = due;
      // Rounded up: a timer that came early would find nothing due.
      timer = setTimeout(resolve, Math.ceil(Math.max(0, due - now)));
    });
    clearTimeout(timer);
    this.wakesAt = Number.POSITIVE_INFINITY;
  }
}

function toStored({ hostId, hostName, sessionEpoch, state }: Host) {
  return { hostId, hostName, sessionEpoch, lost: state === HostState.HEARTBEAT_LOST };
}
