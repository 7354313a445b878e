import { setTimeout as sleep } from "node:timers/promises";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type {
  ExecuteAlertResponse,
  HostStatusCheck,
  HostsAlertDefinitions,
} from "@howdah/proto/howdah/v1/dispatcher_service";
import type { Lease } from "@howdah/proto/howdah/v1/store_leases";
import { joinSignals } from "@howdah/rpc/join-signals";
import type { RpcTransport } from "@howdah/rpc/transport";
import type { Logger } from "pino";
import {
  type AlertExecution,
  type Cancel,
  type DispatcherEvents,
  DispatcherLink,
  type ReleasedCommand,
  type SessionOf,
} from "./engine/dispatcher-link.js";

const leasePrefix = "dispatcher/";

/** What the directory of dispatchers needs. */
export interface DispatchersOptions {
  readonly store: Client<typeof CommandStoreService>;
  readonly token: bigint;
  readonly log: Logger;
  /** Opens a connection to a dispatcher's address; throws for one that is none. */
  readonly connect: (address: string) => RpcTransport;
  /** How often the leases are looked at; two times instead of three while every dispatcher is in reach. Default 2,000. */
  readonly lookMs?: number;
}

/** What is told while the dispatchers are followed. */
export interface DispatchersEvents extends DispatcherEvents {
  /** The store has answered: the leases of dispatchers that were not given back. */
  storeHeard?(leases: readonly Lease[]): void;
  /** The store cannot be reached. */
  storeAway?(): void;
}

/** The dispatchers there are, found by their leases, and the links to them. */
export class Dispatchers {
  private readonly links = new Map<string, { address: string; link: DispatcherLink }>();
  /** Resolves when every dispatcher of the first list knows the token or can have no lease any more. */
  readonly announced: Promise<void>;
  private announce: () => void = () => undefined;
  private firstList = true;

  constructor(private readonly options: DispatchersOptions) {
    this.announced = new Promise((resolve) => {
      this.announce = resolve;
    });
  }

  /** Hands commands to a dispatcher. Those for one that is gone are left to the next registration of their hosts. */
  enqueue(dispatcher: string, commands: readonly ReleasedCommand[]): void {
    this.links.get(dispatcher)?.link.enqueue(commands);
  }

  /** Hands cancels to a dispatcher. */
  cancel(dispatcher: string, cancels: readonly Cancel[]): void {
    this.links.get(dispatcher)?.link.cancel(cancels);
  }

  /** Has the agents of these sessions of a dispatcher register again. */
  registerAgain(dispatcher: string, sessions: readonly SessionOf[], reason: string): void {
    void this.links.get(dispatcher)?.link.registerAgain(sessions, reason);
  }

  /** Asks a dispatcher's agents for status checks. False when that could not be done. */
  async checkStatuses(dispatcher: string, checks: HostStatusCheck[]): Promise<boolean> {
    return (await this.links.get(dispatcher)?.link.checkStatuses(checks)) ?? false;
  }

  /** Has a dispatcher tell its agents which alerts to watch. False when that could not be done. */
  async sendAlertDefinitions(
    dispatcher: string,
    definitions: HostsAlertDefinitions[],
  ): Promise<boolean> {
    return (await this.links.get(dispatcher)?.link.sendAlertDefinitions(definitions)) ?? false;
  }

  /** Has a dispatcher's agents run an alert now; one answer for each host as it comes. */
  async *executeAlert(
    dispatcher: string,
    request: AlertExecution,
    signal: AbortSignal,
  ): AsyncGenerator<ExecuteAlertResponse> {
    const link = this.links.get(dispatcher)?.link;
    if (link === undefined) throw new ConnectError(`${dispatcher} is gone`, Code.Unavailable);
    yield* link.executeAlert(request, signal);
  }

  /** Follows the leases, and tells what the store and the dispatchers tell, until the signal aborts. */
  async follow(events: DispatchersEvents, signal: AbortSignal): Promise<void> {
    const { store, log, lookMs = 2_000 } = this.options;
    let live: readonly Lease[] = [];
    while (!signal.aborted) {
      try {
        const { leases } = await store.listLeases({ prefix: leasePrefix }, { signal });
        live = leases.filter(({ holder }) => holder !== "");
        events.storeHeard?.(live);
        await this.update(new Map(live.map(({ name, address }) => [name, address])), events);
        if (this.firstList) void this.awaitAnswers(live, signal);
        this.firstList = false;
      } catch (error) {
        if (signal.aborted) break;
        events.storeAway?.();
        log.warn(`cannot list dispatchers: ${ConnectError.from(error).rawMessage}`);
      }
      const pauseMs = this.areInReach(live) ? 1.5 * lookMs : lookMs;
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
    await this.update(new Map(), events);
    this.announce();
  }

  /** Whether there are dispatchers and each tells what happens there: then a lease can wait to be looked at. */
  private areInReach(leases: readonly Lease[]): boolean {
    const isInReach = ({ name }: Lease) => this.links.get(name)?.link.isInReach === true;
    return leases.length > 0 && leases.every(isInReach);
  }

  /** One that does not answer is waited for as long as its lease lasts: then it has lost it, or has been heard of. */
  private async awaitAnswers(leases: readonly Lease[], signal: AbortSignal): Promise<void> {
    const answers = leases.map(async ({ name, durationMs }) => {
      const done = new AbortController();
      const either = joinSignals(signal, done.signal);
      const late = sleep(Number(durationMs), undefined, either).catch(() => undefined);
      await Promise.race([this.links.get(name)?.link.answered, late]);
      done.abort();
      either.release();
    });
    await Promise.all(answers);
    this.announce();
  }

  private async update(live: ReadonlyMap<string, string>, events: DispatcherEvents): Promise<void> {
    const gone = [...this.links].filter(([name, { address }]) => live.get(name) !== address);
    for (const [name] of gone) this.links.delete(name);
    await Promise.all(gone.map(([, { link }]) => link.stop()));
    const { token, log, connect } = this.options;
    for (const [name, address] of live) {
      if (this.links.has(name)) continue;
      try {
        const link = new DispatcherLink(name, connect(address), token, events, log);
        this.links.set(name, { address, link });
      } catch (error) {
        // Its lease says an address that is none; the others must not suffer.
        log.warn({ dispatcher: name, err: error }, "cannot connect to a dispatcher");
      }
    }
  }
}
