import { setTimeout as sleep } from "node:timers/promises";
import { type Client, ConnectError } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type {
  ExecuteAlertResponse,
  HostsAlertDefinitions,
} from "@howdah/proto/howdah/v1/dispatcher_service";
import type {
  AlertTargets,
  EvaluateServerAlertsResponse,
} from "@howdah/proto/howdah/v1/store_alerts";
import type { Logger } from "pino";
import type { AlertExecution } from "../engine/dispatcher-link.js";
import { SessionPlaces } from "../session-places.js";
import { definitionBatches } from "./definition-batches.js";
import { KnownTargets } from "./known-targets.js";

/** How often alerts are looked after. */
export interface AlertWatchTimes {
  /**
   * How often the store is asked to find out its own alerts, and whether others have changed; half as often while there is no cluster. Default
   * 5,000.
   */
  readonly alertEveryMs?: number;
}

/** What watching alerts needs. */
export interface AlertWatchOptions extends AlertWatchTimes {
  readonly store: Pick<
    Client<typeof CommandStoreService>,
    "listAlertTargets" | "evaluateServerAlerts"
  >;
  readonly token: bigint;
  /** Has a dispatcher tell its hosts what to watch. Never rejects; false when that could not be done. */
  readonly send: (dispatcher: string, definitions: HostsAlertDefinitions[]) => Promise<boolean>;
  /** Has a dispatcher's hosts run an alert now. */
  readonly execute: (
    dispatcher: string,
    request: AlertExecution,
    signal: AbortSignal,
  ) => AsyncIterable<ExecuteAlertResponse>;
  readonly log: Logger;
}

/** Hosts that are to be told within that time are told together. */
const gatherMs = 500;
const callTimeoutMs = 30_000;

/**
 * Tells agents which alerts to watch: a host whose session opens, and those for whom something has changed. Has the store find out its own
 * alerts, one call at a time.
 */
export class AlertWatch {
  /** Where the hosts are; it is told what dispatchers tell of sessions. */
  readonly places: SessionPlaces;
  private readonly targets = new KnownTargets();
  private isKnown = false;
  /** Hosts that have a session and were not told yet what they are to watch now. */
  private readonly due = new Set<bigint>();
  private isToldSessions = false;
  /** Set while it runs and somebody is to be told soon. */
  private soon: NodeJS.Timeout | undefined;
  private isRunning = false;
  /** Calls of one kind follow each other, so that no older answer comes last. */
  private reading: Promise<unknown> = Promise.resolve();
  private evaluating: Promise<unknown> = Promise.resolve();
  private telling: Promise<void> = Promise.resolve();

  constructor(private readonly options: AlertWatchOptions) {
    this.places = new SessionPlaces((hostId, place) => {
      if (place === undefined) {
        this.due.delete(hostId);
        return;
      }
      this.due.add(hostId);
      this.tellSoon();
    });
  }

  /** Whether it is known which hosts have a session: not before every dispatcher that answers has told its own. */
  get knowsSessions(): boolean {
    return this.isToldSessions;
  }

  /** Every dispatcher that answers has told its sessions. */
  sessionsTold(): void {
    this.isToldSessions = true;
  }

  /** What is known of a cluster, by its id. */
  clusterOf(clusterId: bigint): AlertTargets | undefined {
    return this.targets.of(clusterId);
  }

  /** Has a dispatcher's hosts run an alert now; one answer for each as it comes. */
  execute(
    dispatcher: string,
    request: AlertExecution,
    signal: AbortSignal,
  ): AsyncIterable<ExecuteAlertResponse> {
    return this.options.execute(dispatcher, request, signal);
  }

  /** Asks the store for what has changed. The hosts are told soon. */
  refresh(signal: AbortSignal): Promise<void> {
    const turn = this.reading.then(async () => {
      const request = { knownVersions: this.targets.versions() };
      const options = { signal, timeoutMs: callTimeoutMs };
      const affected = this.targets.take(
        await this.options.store.listAlertTargets(request, options),
      );
      this.isKnown = true;
      for (const hostId of affected) {
        if (this.places.of(hostId) !== undefined) this.due.add(hostId);
      }
      if (affected.size > 0) this.tellSoon();
    });
    this.reading = turn.catch(() => undefined);
    return turn;
  }

  /** Has the store find out its alerts that are due, and these in any case. */
  evaluate(definitionIds: bigint[], signal: AbortSignal): Promise<EvaluateServerAlertsResponse> {
    const turn = this.evaluating.then(() => {
      const request = { schedulerToken: this.options.token, definitionIds };
      const options = { signal, timeoutMs: callTimeoutMs };
      return this.options.store.evaluateServerAlerts(request, options);
    });
    this.evaluating = turn.catch(() => undefined);
    return turn;
  }

  /** One call while nothing is due and nothing has changed. Agents are told although the store cannot find out its own alerts. */
  private async look(signal: AbortSignal): Promise<void> {
    let failed: unknown;
    // Who has just begun to lead lets no agent wait for what the store has to find out.
    if (!this.isKnown) await this.refresh(signal);
    try {
      const { clusterVersions } = await this.evaluate([], signal);
      if (this.targets.isAt(clusterVersions)) return;
    } catch (error) {
      failed = error;
    }
    await this.refresh(signal);
    if (failed !== undefined) throw failed;
  }

  /** Watches until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { alertEveryMs: everyMs = 5_000, log } = this.options;
    let problem: string | undefined;
    this.isRunning = true;
    while (!signal.aborted) {
      const beganMs = performance.now();
      try {
        await this.look(signal);
        if (problem !== undefined) log.info("alerts are looked after again");
        problem = undefined;
      } catch (error) {
        if (signal.aborted) break;
        const { rawMessage } = ConnectError.from(error);
        if (problem !== rawMessage) log.warn(`alerts cannot be looked after: ${rawMessage}`);
        problem = rawMessage;
      }
      // Also who could not be told before.
      void this.tell();
      const waitMs = this.targets.size > 0 ? everyMs : 2 * everyMs;
      const leftMs = Math.max(0, beganMs + waitMs - performance.now());
      await sleep(leftMs, undefined, { signal }).catch(() => undefined);
    }
    this.isRunning = false;
    clearTimeout(this.soon);
    await this.telling;
  }

  /** Tells those who are due together with others who become so in the next moment, whatever the store is doing meanwhile. */
  private tellSoon(): void {
    if (!this.isRunning || this.soon !== undefined) return;
    this.soon = setTimeout(() => {
      this.soon = undefined;
      void this.tell();
    }, gatherMs);
  }

  /** Calls follow each other, so that a host is told the latest last. */
  private tell(): Promise<void> {
    this.telling = this.telling.then(() => this.tellDue());
    return this.telling;
  }

  /** Tells those who are due. Who could not be told is due again. */
  private async tellDue(): Promise<void> {
    if (this.due.size === 0 || !this.isKnown) return;
    const byDispatcher = new Map<string, bigint[]>();
    for (const hostId of this.due) {
      const { dispatcher } = this.places.of(hostId) ?? {};
      if (dispatcher === undefined) continue;
      const list = byDispatcher.get(dispatcher);
      if (list === undefined) byDispatcher.set(dispatcher, [hostId]);
      else list.push(hostId);
    }
    this.due.clear();
    await Promise.all(
      [...byDispatcher].map(async ([dispatcher, hosts]) => {
        let isThere = true;
        for (const batch of definitionBatches(this.targets.commands(hosts))) {
          isThere &&= await this.options.send(dispatcher, batch);
          if (isThere) continue;
          for (const hostId of batch.flatMap(({ hostIds }) => hostIds)) {
            if (this.places.of(hostId) !== undefined) this.due.add(hostId);
          }
        }
      }),
    );
  }
}
