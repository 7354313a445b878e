import { create } from "@bufbuild/protobuf";
import {
  type AlertDefinitionCommand,
  AlertDefinitionCommandSchema,
  type AlertExecutionCommand,
  type AlertReport,
} from "@howdah/proto/howdah/v1/agent_service";
import { joinSignals } from "@howdah/rpc/join-signals";
import type { Logger } from "pino";
import { type Persisted, persistedMessage } from "../cluster-cache/persisted.js";
import { createSlots } from "../status/slots.js";
import { logFinding } from "./alert-log.js";
import { AlertResults, type Finding } from "./alert-results.js";
import { createAskedAlerts } from "./asked-alerts.js";
import { checkAlert } from "./check-alert.js";
import type { RecoverySource } from "./check-recovery.js";
import { endLeftScripts, type ScriptContext } from "./check-script.js";
import type { HostAlert } from "./host-alert.js";
import { createOneAtATime } from "./one-at-a-time.js";
import { Schedule } from "./schedule.js";
import { createRoots, type WatchedCluster } from "./watched-cluster.js";
import { WatchedClusters } from "./watched-clusters.js";

/** What watching alerts needs. */
export interface AlertsOptions extends ScriptContext {
  /** Told of each alert that has changed. */
  readonly changes: Logger;
  /** This host's own, so that the hosts of a fleet spread their checks. */
  readonly agentId: string;
  readonly recovery?: RecoverySource;
  /** How long a minute of an interval is. Default 60,000 ms: tests have shorter ones. */
  readonly minuteMs?: number;
  /** What is found within that time travels together. Default 3 s. */
  readonly gatherMs?: number;
  /** Until documents that could not be had are asked for once more. Default 5 min. */
  readonly retryMs?: number;
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
const longestTimerMs = 2 ** 31 - 1;

/**
 * Watches the alerts that the server last named, also while there is no server and after a restart, and tells what changed. With nothing
 * to watch it has no timer.
 */
export class Alerts {
  private readonly persisted: Persisted<AlertDefinitionCommand>;
  private readonly clusters: WatchedClusters;
  private readonly schedule: Schedule;
  private readonly rootOf: ReturnType<typeof createRoots>;
  private readonly results = new AlertResults(now);
  private readonly slots = createSlots(mostAtOnce);
  private readonly running = createOneAtATime();
  private readonly runAsked = createAskedAlerts({
    running: this.running,
    read: (cluster, signal) => this.clusters.read(cluster, signal),
    check: (alert, watched, signal) => this.check(alert, watched, signal),
  });
  private readonly stopping = new AbortController();
  private readonly underWay = new Set<Promise<void>>();
  private session: (AlertSession & { readonly over: AbortController }) | undefined;
  private storeId = "";
  private timer: NodeJS.Timeout | undefined;
  private telling: NodeJS.Timeout | undefined;

  constructor(private readonly options: AlertsOptions) {
    const { folders, packages, facts, log, agentId } = options;
    const schema = AlertDefinitionCommandSchema;
    this.persisted = persistedMessage(folders, "alert_definitions", schema, log);
    this.schedule = new Schedule(agentId);
    this.rootOf = createRoots(facts);
    this.clusters = new WatchedClusters({
      ...{ packages, log, hostName: facts.hostName, stopping: this.stopping.signal },
      retryMs: options.retryMs,
      onChange: () => this.watch(),
      follow: (work) => this.follow(work),
    });
  }

  /** Ends what a former agent has left, and watches what it was told to until a server says otherwise. Call it before anything else. */
  async restore(): Promise<void> {
    await endLeftScripts(this.options.folders, this.options.log);
    const said = await this.persisted.read();
    if (said === undefined) return;
    this.storeId = said.storeId;
    this.clusters.apply(said.message);
  }

  /** The server names all that is to be watched, from now on. */
  command(command: AlertDefinitionCommand): void {
    this.persisted.keep({ storeId: this.storeId, message: command });
    this.clusters.apply(command);
  }

  private watch(): void {
    const alerts = [...this.clusters.alerts];
    this.results.watch(alerts.map(([, { alert }]) => alert));
    const minuteMs = this.options.minuteMs ?? 60_000;
    this.schedule.set(
      alerts.map(([key, { alert }]) => ({
        key,
        version: alert.definition.uuid,
        intervalMs: minutesOf(alert.definition.intervalMinutes) * minuteMs,
      })),
      now(),
    );
    this.wait();
  }

  /** Whether there is nothing to watch. */
  get isIdle(): boolean {
    return this.timer === undefined;
  }

  /** How long it is until the next one is due; undefined when there is nothing to watch. */
  nextRunMs(): number | undefined {
    const next = this.schedule.nextAt();
    return next === undefined ? undefined : next - now();
  }

  private wait(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const nextMs = this.nextRunMs();
    if (nextMs === undefined || this.stopping.signal.aborted) return;
    const waitMs = Math.min(longestTimerMs, Math.max(0, Math.ceil(nextMs)));
    this.timer = setTimeout(() => this.tick(), waitMs);
  }

  private tick(): void {
    for (const key of this.schedule.takeDue(now())) {
      // One that still runs, or waits for its turn, is not run twice.
      if (!this.running.has(key)) this.follow(this.runScheduled(key));
    }
    const stale = this.schedule.stale(now());
    this.results.setStale(
      stale.flatMap((key) => this.clusters.alerts.get(key)?.alert.definition.definitionId ?? []),
    );
    this.tellSoon();
    this.wait();
  }

  private async runScheduled(key: string): Promise<void> {
    const { signal } = this.stopping;
    await this.running.run(key, () =>
      this.slots.run(signal, async () => {
        const entry = this.clusters.alerts.get(key);
        if (entry === undefined) return; // not watched any more
        const { alert, watched } = entry;
        this.found(alert, await this.check(alert, watched, signal));
        this.schedule.ran(key, now());
      }),
    );
  }

  private check(alert: HostAlert, watched: WatchedCluster, signal: AbortSignal): Promise<Finding> {
    const { facts, recovery } = this.options;
    const hostNames = [...new Set([facts.hostName, facts.publicHostName.toLowerCase()])];
    const root = this.rootOf(watched, alert);
    const context = { hostNames, root, watched, scripts: this.options, recovery };
    return checkAlert(alert, context, signal);
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
    const { signal, release } = joinSignals(over, this.stopping.signal);
    const { alert, finding } = await this.runAsked(command, signal).finally(release);
    if (signal.aborted) return;
    // It counts as any other, where the definition is the one that is watched.
    if (alert !== undefined) this.found(alert, finding);
    this.results.answer(
      command.executionId,
      command.cluster?.clusterId ?? 0n,
      alert?.definition.definitionId ?? 0n,
      finding,
    );
    this.tell();
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
        if (this.stopping.signal.aborted) return;
        this.options.log.error({ err: error }, "an alert could not be checked");
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

/** A minute for a definition that says what cannot be. */
function minutesOf(minutes: number): number {
  return minutes >= 1 ? Math.min(minutes, 525_600) : 1;
}

function now(): number {
  return performance.now();
}
