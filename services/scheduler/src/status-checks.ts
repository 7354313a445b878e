import { setTimeout as sleep } from "node:timers/promises";
import { toBinary } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { StatusCheckSchema } from "@howdah/proto/howdah/v1/command";
import type { HostStatusCheck } from "@howdah/proto/howdah/v1/dispatcher_service";
import { joinSignals } from "@howdah/rpc/join-signals";
import { type ChecksOfHosts, checkBatches } from "./check-batches.js";
import { type CheckSources, createCheckReader } from "./read-checks.js";
import { SessionPlaces } from "./session-places.js";

/** How often the status of components is checked. */
export interface StatusCheckTimes {
  /** Default 60,000. */
  readonly statusCheckEveryMs?: number;
  /** How soon at the earliest it is looked for changes of what is checked. Default 10,000. */
  readonly statusChangesEveryMs?: number;
}

/** How to have the status of components checked. */
export interface StatusChecksOptions extends CheckSources, StatusCheckTimes {
  /** Asks a dispatcher's hosts for checks, each host for all of its own. Never rejects; false when that could not be done. */
  readonly send: (dispatcher: string, checks: HostStatusCheck[]) => Promise<boolean>;
}

/** What is to be checked where, and a name for all that is on a host. */
interface NamedChecks extends ChecksOfHosts {
  readonly nameOf: (hostId: bigint) => string;
}

/** Sessions that open within that time are asked together. */
const gatherMs = 500;
/** How soon the store is asked again after it could not be. */
const againMs = 5_000;

/**
 * Asks agents for the status of their components, all of them again and again, a host as soon as its session has opened, and those of
 * which something has changed soon after a request is over; with auto start such changes are looked for all the time, since agents start by
 * themselves what they were told should run. The store is asked once for all hosts together, and not at all for those whose session has
 * opened.
 */
export class StatusChecks {
  /** Where the hosts are; it is told what dispatchers tell of sessions. */
  readonly places: SessionPlaces;
  /** Hosts that were not asked in their session yet. */
  private readonly fresh = new Set<bigint>();
  /** Hosts whose agents have something to check, or may have. */
  private readonly checking = new Set<bigint>();
  /** What hosts were told last, by the numbers of their checks. */
  private readonly told = new Map<bigint, string>();
  private numbers = new Map<string, number>();
  private nextNumber = 1;
  /** Something may have changed. */
  private stale = false;
  private wake: () => void = () => undefined;

  constructor(private readonly options: StatusChecksOptions) {
    this.places = new SessionPlaces((hostId, place) => {
      this.told.delete(hostId);
      if (place === undefined) {
        this.fresh.delete(hostId);
        this.checking.delete(hostId);
        return;
      }
      this.fresh.add(hostId);
      this.checking.add(hostId);
      this.wake();
    });
  }

  /** What is to be checked, or what it is wanted to be, may have changed. */
  changed(): void {
    this.stale = true;
    this.wake();
  }

  /** Has statuses checked until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { statusCheckEveryMs: everyMs = 60_000, log } = this.options;
    const changesEveryMs = Math.min(everyMs, this.options.statusChangesEveryMs ?? 10_000);
    const read = createCheckReader(this.options);
    let away = false;
    let allAtMs = 0;
    while (!signal.aborted) {
      const beganMs = performance.now();
      const isAll = beganMs >= allAtMs;
      let waitMs = everyMs;
      let named: NamedChecks | undefined;
      this.stale = false;
      try {
        const checks = await read(signal);
        if (away) log.info("the status of components is checked again");
        away = false;
        named = this.withNames(checks);
        const { nameOf } = named;
        // Nobody tells of what goes into maintenance: that must not be started by its agent.
        if (checks.checks.some(({ recoveryEnabled }) => recoveryEnabled)) this.stale = true;
        const hosts = [...this.places.hosts()];
        const asked = isAll
          ? hosts
          : hosts.filter((id) => nameOf(id) !== (this.told.get(id) ?? ""));
        await this.ask(named, asked);
      } catch (error) {
        if (signal.aborted) return;
        const reason = ConnectError.from(error).rawMessage;
        if (!away) log.warn(`which components are to be checked cannot be read: ${reason}`);
        away = true;
        waitMs = Math.min(everyMs, againMs);
      }
      if (isAll || away) allAtMs = beganMs + waitMs;
      const untilMs = () =>
        this.stale && !away ? Math.min(allAtMs, beganMs + changesEveryMs) : allAtMs;
      await this.serveFresh(named, untilMs, signal);
    }
  }

  /** Names each host's checks, by numbers that equal checks share from one pass to the next. */
  private withNames({ checks, byHost }: ChecksOfHosts): NamedChecks {
    const before = this.numbers;
    this.numbers = new Map();
    const numbers = checks.map((check) => {
      const text = Buffer.from(toBinary(StatusCheckSchema, check)).toString("latin1");
      const number = before.get(text) ?? this.nextNumber++;
      this.numbers.set(text, number);
      return number;
    });
    const nameOf = (hostId: bigint) => (byHost.get(hostId) ?? []).map((at) => numbers[at]).join();
    return { checks, byHost, nameOf };
  }

  /** Until the moment comes, asks the hosts whose sessions open. */
  private async serveFresh(
    checks: NamedChecks | undefined,
    untilMs: () => number,
    signal: AbortSignal,
  ): Promise<void> {
    for (;;) {
      const leftMs = untilMs() - performance.now();
      if (leftMs <= 0 || signal.aborted) return;
      if (checks === undefined || this.fresh.size === 0) await this.rest(leftMs, signal);
      else {
        await sleep(Math.min(gatherMs, leftMs), undefined, { signal }).catch(() => undefined);
        if (!signal.aborted) await this.ask(checks, [...this.fresh]);
      }
    }
  }

  /** Rests until a session opens, but no longer than that. */
  private async rest(ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    this.wake = () => woken.abort();
    const { signal: either, release } = joinSignals(signal, woken.signal);
    await sleep(ms, undefined, { signal: either }).catch(() => undefined);
    release();
    this.wake = () => undefined;
  }

  private async ask(checks: NamedChecks, hosts: readonly bigint[]): Promise<void> {
    const byDispatcher = new Map<string, bigint[]>();
    for (const hostId of hosts) {
      const dispatcher = this.places.of(hostId)?.dispatcher;
      this.fresh.delete(hostId);
      // One that has nothing to check is told so once.
      if (dispatcher === undefined) continue;
      if (checks.byHost.has(hostId)) this.checking.add(hostId);
      else if (!this.checking.delete(hostId)) continue;
      const list = byDispatcher.get(dispatcher);
      if (list === undefined) byDispatcher.set(dispatcher, [hostId]);
      else list.push(hostId);
    }
    await Promise.all(
      [...byDispatcher].map(async ([dispatcher, ofDispatcher]) => {
        for (const batch of checkBatches(checks, ofDispatcher)) {
          // What gets lost is asked for next time.
          if (!(await this.options.send(dispatcher, batch))) return;
          for (const { hostIds } of batch) {
            for (const id of hostIds) this.told.set(id, checks.nameOf(id));
          }
        }
      }),
    );
  }
}
