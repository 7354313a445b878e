import { create } from "@bufbuild/protobuf";
import {
  type AlertDefinitionCommand,
  AlertDefinitionCommandSchema,
  type AlertExecutionCommand,
  type AlertReport,
} from "@howdah/proto/howdah/v1/agent_service";
import type { ClusterAlerts } from "@howdah/proto/howdah/v1/alert";
import { joinSignals } from "@howdah/rpc/join-signals";
import type { Logger } from "pino";
import { type Persisted, persistedMessage } from "../cluster-cache/persisted.js";
import type { AgentFacts } from "../command-json.js";
import type { AgentFolders } from "../folders.js";
import type { PackageCache } from "../package-cache.js";
import { createSlots } from "../status/slots.js";
import { logFinding } from "./alert-log.js";
import { AlertResults, type Finding } from "./alert-results.js";
import { checkAlert, unknown } from "./check-alert.js";
import { alertKey, type HostAlert } from "./host-alert.js";
import { Schedule } from "./schedule.js";
import { readCluster, rootOf, type WatchedCluster } from "./watched-cluster.js";

/** What watching alerts needs. */
export interface AlertsOptions {
  readonly folders: AgentFolders;
  readonly packages: PackageCache;
  readonly facts: AgentFacts;
  readonly log: Logger;
  /** Told of each alert that has changed. */
  readonly changes: Logger;
  /** This host's own, so that the hosts of a fleet spread their checks. */
  readonly agentId: string;
  /** How long a minute of an interval is. Default 60,000 ms: tests have shorter ones. */
  readonly minuteMs?: number;
  /** What is found within that time travels together. Default 3 s. */
  readonly gatherMs?: number;
}

/** What a session needs of the alerts. */
export type SessionAlerts = Pick<
  Alerts,
  "command" | "execute" | "connected" | "disconnected" | "acknowledged"
>;

/** Where reports go. */
export interface AlertSession {
  readonly storeId: string;
  readonly send: (report: AlertReport) => void;
}

const mostAtOnce = 3;
/** Of those that were asked for, which need not wait for the others. */
const mostAskedAtOnce = 2;
const mostAskedWaiting = 1_000;
/** What an alert that was asked for needs and this host lacks is waited for so long. */
const fetchMs = 30_000;
const longestTimerMs = 2 ** 31 - 1;

/**
 * Watches the alerts that the server last named, also while there is no server and after a restart, and tells what changed. With nothing
 * to watch it has no timer.
 */
export class Alerts {
  private readonly persisted: Persisted<AlertDefinitionCommand>;
  private readonly schedule: Schedule;
  private readonly results: AlertResults;
  private readonly slots = createSlots(mostAtOnce);
  private readonly askedSlots = createSlots(mostAskedAtOnce);
  private readonly stopping = new AbortController();
  /** By cluster: what is watched. */
  private watched = new Map<bigint, WatchedCluster>();
  private byKey = new Map<string, { alert: HostAlert; watched: WatchedCluster }>();
  /** The runs of each definition, one after another. */
  private readonly running = new Map<string, Promise<unknown>>();
  private readonly underWay = new Set<Promise<void>>();
  private applying = new AbortController();
  private session: (AlertSession & { readonly over: AbortController }) | undefined;
  private storeId = "";
  private asked = 0;
  private timer: NodeJS.Timeout | undefined;
  private telling: NodeJS.Timeout | undefined;
  private readonly minuteMs: number;

  constructor(private readonly options: AlertsOptions) {
    const { folders, log, agentId } = options;
    this.minuteMs = options.minuteMs ?? 60_000;
    this.schedule = new Schedule(agentId);
    this.results = new AlertResults(now);
    const schema = AlertDefinitionCommandSchema;
    this.persisted = persistedMessage(folders, "alert_definitions", schema, log);
  }

  /** Watches what a former agent was told to, until a server says otherwise. */
  async restore(): Promise<void> {
    const said = await this.persisted.read();
    if (said === undefined || this.storeId !== "") return;
    this.storeId = said.storeId;
    this.apply(said.message);
  }

  /** The server names all that is to be watched, from now on. */
  command(command: AlertDefinitionCommand): void {
    const { storeId } = this;
    this.persisted.keep({ storeId, message: command });
    this.apply(command);
  }

  private apply(command: AlertDefinitionCommand): void {
    this.applying.abort(new Error("a newer command takes its place"));
    this.applying = new AbortController();
    const { signal, release } = joinSignals(this.applying.signal, this.stopping.signal);
    this.follow(this.applyAll(command, signal).finally(release));
  }

  /** Never rejects. */
  private async applyAll({ clusters }: AlertDefinitionCommand, signal: AbortSignal): Promise<void> {
    for (const clusterId of this.watched.keys()) {
      if (!clusters.some((cluster) => cluster.clusterId === clusterId)) {
        this.watched.delete(clusterId);
      }
    }
    this.watch();
    // One that is not to be had does not keep the others from being watched.
    await Promise.all(
      clusters.map(async (cluster) => {
        try {
          const read = await this.readCluster(cluster, signal);
          signal.throwIfAborted();
          this.watched.set(cluster.clusterId, read);
          this.watch();
        } catch (error) {
          if (signal.aborted) return;
          const { message } = error as Error;
          const fields = { cluster: cluster.clusterName, reason: message };
          this.options.log.warn(fields, "alerts cannot be taken over: the former ones stay");
        }
      }),
    );
  }

  private readCluster(cluster: ClusterAlerts, signal: AbortSignal): Promise<WatchedCluster> {
    const { packages, facts } = this.options;
    return readCluster(cluster, (digest) => packages.document(digest, signal), facts.hostName);
  }

  /** Goes by `watched`. */
  private watch(): void {
    this.byKey = new Map();
    for (const watched of this.watched.values()) {
      for (const alert of watched.alerts) this.byKey.set(alertKey(alert), { alert, watched });
    }
    const alerts = [...this.byKey].map(([key, { alert }]) => ({ key, alert }));
    this.results.watch(alerts.map(({ alert }) => alert));
    this.schedule.set(
      alerts.map(({ key, alert: { definition } }) => ({
        key,
        version: definition.uuid,
        intervalMs: minutesOf(definition.intervalMinutes) * this.minuteMs,
      })),
      now(),
    );
    this.wait();
  }

  private wait(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const next = this.schedule.nextAt();
    if (next === undefined || this.stopping.signal.aborted) return;
    const waitMs = Math.min(longestTimerMs, Math.max(0, Math.ceil(next - now())));
    this.timer = setTimeout(() => this.tick(), waitMs);
  }

  private tick(): void {
    for (const key of this.schedule.takeDue(now())) {
      const entry = this.byKey.get(key);
      // One that still runs, or waits for its turn, is not run twice.
      if (entry === undefined || this.running.has(key)) continue;
      this.follow(this.runScheduled(key, entry.alert, entry.watched));
    }
    const stale = this.schedule.stale(now()).map((key) => this.byKey.get(key)?.alert);
    this.results.setStale(stale.flatMap((alert) => alert?.definition.definitionId ?? []));
    this.tellSoon();
    this.wait();
  }

  private async runScheduled(
    key: string,
    alert: HostAlert,
    watched: WatchedCluster,
  ): Promise<void> {
    const { signal } = this.stopping;
    await this.alone(key, () =>
      this.slots.run(signal, async () => {
        this.found(alert, await this.check(alert, watched, signal));
        this.schedule.ran(key, now());
      }),
    );
  }

  /** Runs something once all that was to run of this definition is over. */
  private async alone<T>(key: string, run: () => Promise<T>): Promise<T> {
    const before = this.running.get(key) ?? Promise.resolve();
    const mine = before.then(run, run);
    const settled = mine.then(nothing, nothing);
    this.running.set(key, settled);
    try {
      return await mine;
    } finally {
      if (this.running.get(key) === settled) this.running.delete(key);
    }
  }

  private check(alert: HostAlert, watched: WatchedCluster, signal: AbortSignal): Promise<Finding> {
    const { facts } = this.options;
    const hostNames = [...new Set([facts.hostName, facts.publicHostName])];
    return checkAlert(alert, { hostNames, root: rootOf(watched, alert, facts) }, signal);
  }

  private found(alert: HostAlert, finding: Finding): void {
    if (this.results.found(alert, finding)) logFinding(this.options.changes, alert, finding);
    this.tellSoon();
  }

  /** Runs an alert now, besides its schedule. It is answered in any case, as long as the session lives. */
  execute(command: AlertExecutionCommand): void {
    const { session } = this;
    if (session === undefined) return;
    this.follow(this.answer(command, session.over.signal));
  }

  private async answer(command: AlertExecutionCommand, over: AbortSignal): Promise<void> {
    const { executionId, cluster, name } = command;
    const { signal, release } = joinSignals(over, this.stopping.signal);
    const clusterId = cluster?.clusterId ?? 0n;
    let definitionId = 0n;
    let finding: Finding;
    this.asked += 1;
    try {
      if (this.asked > mostAskedWaiting) throw new Error("too many alerts were asked for at once");
      if (cluster === undefined) throw new Error("the server does not say of which cluster");
      const watched = await this.fetchFor(cluster, signal);
      const alert = alertNamed(watched, name);
      ({ definitionId } = alert.definition);
      finding = await this.alone(alertKey(alert), () =>
        this.askedSlots.run(signal, () => this.check(alert, watched, signal)),
      );
      // It counts as any other, where the definition is the one that is watched.
      if (!signal.aborted) this.found(alert, finding);
    } catch (error) {
      finding = unknown(error);
    } finally {
      this.asked -= 1;
      release();
    }
    if (signal.aborted) return;
    this.results.answer(executionId, clusterId, definitionId, finding);
    this.tell();
  }

  private async fetchFor(cluster: ClusterAlerts, signal: AbortSignal): Promise<WatchedCluster> {
    const late = AbortSignal.timeout(fetchMs);
    const { signal: either, release } = joinSignals(signal, late);
    try {
      return await this.readCluster(cluster, either);
    } catch (error) {
      if (late.aborted) throw new Error(`its documents did not come within ${fetchMs / 1_000} s`);
      throw error;
    } finally {
      release();
    }
  }

  /** A session lives: it is told what no former one acknowledged. */
  connected(session: AlertSession): void {
    const former = this.storeId;
    this.storeId = session.storeId;
    if (former !== "" && former !== session.storeId) {
      // Its clusters are others.
      this.results.forgetAcknowledged();
      this.command(create(AlertDefinitionCommandSchema));
    }
    this.session = { ...session, over: new AbortController() };
    this.tellSoon();
  }

  /** The session is over. */
  disconnected(): void {
    this.session?.over.abort(new Error("the session is over"));
    this.session = undefined;
    this.results.disconnected();
  }

  /** A report is committed, or will never be. */
  acknowledged(sequence: bigint): void {
    this.results.acknowledged(sequence);
  }

  private tellSoon(): void {
    if (this.telling !== undefined || this.session === undefined || !this.results.isDue) return;
    this.telling = setTimeout(() => this.tell(), this.options.gatherMs ?? 3_000);
  }

  private tell(): void {
    clearTimeout(this.telling);
    this.telling = undefined;
    if (this.session === undefined) return;
    for (const report of this.results.takeReports()) this.session.send(report);
  }

  private follow(work: Promise<void>): void {
    const followed = work
      .catch((error: unknown) => {
        if (!this.stopping.signal.aborted) {
          this.options.log.error({ err: error }, "an alert could not be checked");
        }
      })
      .finally(() => this.underWay.delete(followed));
    this.underWay.add(followed);
  }

  /** Watches nothing any more; resolves when no process of a check is left. */
  async close(): Promise<void> {
    this.stopping.abort(new Error("the agent stops"));
    clearTimeout(this.timer);
    clearTimeout(this.telling);
    this.disconnected();
    await Promise.all(this.underWay);
    await this.persisted.written();
  }
}

function alertNamed({ definitions, alerts, cluster }: WatchedCluster, name: string): HostAlert {
  const alert = alerts.find(({ definition }) => definition.name === name);
  if (alert !== undefined) return alert;
  const known = definitions.some((definition) => definition.name === name);
  throw new Error(
    known
      ? `the alert ${JSON.stringify(name)} watches nothing on this host`
      : `the cluster ${cluster.clusterName} has no alert ${JSON.stringify(name)} that agents check`,
  );
}

/** Of a definition that says something else, a minute. */
function minutesOf(minutes: number): number {
  return minutes >= 1 ? Math.min(minutes, 525_600) : 1;
}

function now(): number {
  return performance.now();
}

function nothing(): void {}
