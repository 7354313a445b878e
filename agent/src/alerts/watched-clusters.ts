import { setTimeout as sleep } from "node:timers/promises";
import type { AlertDefinitionCommand } from "@howdah/proto/howdah/v1/agent_service";
import { AlertSourceType, type ClusterAlerts } from "@howdah/proto/howdah/v1/alert";
import { joinSignals } from "@howdah/rpc/join-signals";
import type { Logger } from "pino";
import type { PackageCache } from "../package-cache.js";
import { alertKey, type HostAlert } from "./host-alert.js";
import { readCluster, type WatchedCluster } from "./watched-cluster.js";

/** What following the server's word needs. */
export interface WatchedClustersOptions {
  readonly packages: PackageCache;
  /** In lower case. */
  readonly hostName: string;
  readonly log: Logger;
  /** Told when other alerts are watched than before. */
  readonly onChange: () => void;
  /** Given what goes on in the background; it never rejects. */
  readonly follow: (work: Promise<void>) => void;
  readonly stopping: AbortSignal;
  /** Until documents that could not be had are asked for once more. Default 5 min. */
  readonly retryMs?: number | undefined;
}

const notTaken = "a cluster's alerts cannot be taken over: the former ones stay";

/** An alert with the cluster that it is read from. */
export interface WatchedAlert {
  readonly alert: HostAlert;
  readonly watched: WatchedCluster;
}

/** The clusters whose alerts this host watches, as the server last said, as far as their documents are to be had. */
export class WatchedClusters {
  /** By their keys. */
  alerts: ReadonlyMap<string, WatchedAlert> = new Map();
  private readonly clusters = new Map<bigint, WatchedCluster>();
  private applying = new AbortController();

  constructor(private readonly options: WatchedClustersOptions) {}

  /** Takes the place of what was said before: what of it is still being fetched is not. */
  apply({ clusters }: AlertDefinitionCommand): void {
    this.applying.abort(new Error("a newer command takes its place"));
    this.applying = new AbortController();
    const named = new Set(clusters.map(({ clusterId }) => clusterId));
    for (const clusterId of this.clusters.keys()) {
      if (!named.has(clusterId)) this.clusters.delete(clusterId);
    }
    this.changed();
    const { signal, release } = joinSignals(this.applying.signal, this.options.stopping);
    // One that is not to be had does not keep the others from being watched.
    const all = Promise.all(clusters.map((cluster) => this.take(cluster, signal)));
    this.options.follow(all.then(release));
  }

  /** Reads a cluster's documents, which it waits for while there is no server. */
  read(cluster: ClusterAlerts, signal: AbortSignal): Promise<WatchedCluster> {
    const { packages, hostName } = this.options;
    return readCluster(cluster, (digest) => packages.document(digest, signal), hostName);
  }

  /** Never rejects. */
  private async take(cluster: ClusterAlerts, signal: AbortSignal): Promise<void> {
    let told = "";
    while (!signal.aborted) {
      try {
        const read = await this.read(cluster, signal);
        signal.throwIfAborted();
        this.clusters.set(cluster.clusterId, read);
        this.changed();
        return await this.fetchPackages(read, signal);
      } catch (error) {
        if (signal.aborted) return;
        const { message: reason } = error as Error;
        const fields = { cluster: cluster.clusterName, reason };
        if (reason !== told) this.options.log.warn(fields, notTaken);
        told = reason;
        // The server may have it by then, or this host the room for it.
        const pauseMs = this.options.retryMs ?? 300_000;
        await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** Of the scripts, so that they can be run while the server is away. */
  private async fetchPackages({ cluster, alerts }: WatchedCluster, signal: AbortSignal) {
    const { packages, log } = this.options;
    const scripts = alerts.filter(
      ({ definition }) => definition.sourceType === AlertSourceType.SCRIPT,
    );
    const digests = new Set(
      scripts.map(
        ({ definition }) =>
          cluster.packageDigests[definition.serviceName] || cluster.hostScriptsDigest,
      ),
    );
    for (const digest of digests) {
      if (digest === "") continue;
      await packages.folder(digest, signal).catch((error: Error) => {
        if (signal.aborted) return;
        log.warn({ digest, reason: error.message }, "the scripts of alerts cannot be had");
      });
    }
  }

  private changed(): void {
    const alerts = [...this.clusters.values()].flatMap((watched) =>
      watched.alerts.map((alert) => [alertKey(alert), { alert, watched }] as const),
    );
    this.alerts = new Map(alerts);
    this.options.onChange();
  }
}
