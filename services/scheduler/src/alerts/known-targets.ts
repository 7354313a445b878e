import { create, toBinary } from "@bufbuild/protobuf";
import {
  type AlertDefinitionCommand,
  AlertDefinitionCommandSchema,
} from "@howdah/proto/howdah/v1/agent_service";
import { ClusterAlertsSchema } from "@howdah/proto/howdah/v1/alert";
import type { AlertTargets, ListAlertTargetsResponse } from "@howdah/proto/howdah/v1/store_alerts";

/** A cluster as it is known. */
interface Known {
  readonly targets: AlertTargets;
  /** What its hosts are told. */
  readonly bytes: Uint8Array;
  readonly hosts: ReadonlySet<bigint>;
}

/** Which hosts watch which alerts, as the store has told. No I/O. */
export class KnownTargets {
  private readonly clusters = new Map<bigint, Known>();
  private readonly byHost = new Map<bigint, Set<bigint>>();

  /** How many clusters there are. */
  get size(): number {
    return this.clusters.size;
  }

  /** The clusters that are known, id to version. */
  versions(): Record<string, bigint> {
    return Object.fromEntries([...this.clusters].map(([id, { targets }]) => [id, targets.version]));
  }

  /** Whether these are all clusters, and none has changed. */
  isAt(versions: Readonly<Record<string, bigint>>): boolean {
    const known = this.versions();
    const ids = Object.keys(versions);
    return ids.length === this.size && ids.every((id) => known[id] === versions[id]);
  }

  /** What is known of a cluster. */
  of(clusterId: bigint): AlertTargets | undefined {
    return this.clusters.get(clusterId)?.targets;
  }

  /** Takes what the store told, and returns the hosts that are to be told something else from now on. */
  take({ changed, clusterIds }: ListAlertTargetsResponse): Set<bigint> {
    const affected = new Set<bigint>();
    for (const targets of changed) this.put(targets, affected);
    const there = new Set(clusterIds);
    for (const [id, { hosts }] of this.clusters) {
      if (there.has(id)) continue;
      this.clusters.delete(id);
      for (const host of hosts) this.leave(host, id, affected);
    }
    return affected;
  }

  /** The hosts by what they are to be told: everything of all of their clusters. One that is in none is told so. */
  commands(hosts: Iterable<bigint>): [AlertDefinitionCommand, bigint[]][] {
    const byClusters = new Map<string, [AlertDefinitionCommand, bigint[]]>();
    for (const host of hosts) {
      const ids = [...(this.byHost.get(host) ?? [])].sort((a, b) => (a < b ? -1 : 1));
      const key = ids.join(" ");
      let entry = byClusters.get(key);
      if (entry === undefined) {
        const clusters = ids.flatMap((id) => this.clusters.get(id)?.targets.alerts ?? []);
        entry = [create(AlertDefinitionCommandSchema, { clusters }), []];
        byClusters.set(key, entry);
      }
      entry[1].push(host);
    }
    return [...byClusters.values()];
  }

  private put(targets: AlertTargets, affected: Set<bigint>): void {
    const { alerts, hostIds } = targets;
    if (alerts === undefined) return;
    const id = alerts.clusterId;
    const before = this.clusters.get(id);
    // The order of a map's entries on the wire says nothing; that this may tell hosts what they know does no harm.
    const bytes = toBinary(ClusterAlertsSchema, alerts);
    const hosts = new Set(hostIds);
    this.clusters.set(id, { targets, bytes, hosts });
    const isSame = before !== undefined && Buffer.compare(before.bytes, bytes) === 0;
    for (const host of hosts) {
      if (isSame && before.hosts.has(host)) continue;
      affected.add(host);
      const clusters = this.byHost.get(host);
      if (clusters === undefined) this.byHost.set(host, new Set([id]));
      else clusters.add(id);
    }
    for (const host of before?.hosts ?? []) if (!hosts.has(host)) this.leave(host, id, affected);
  }

  private leave(host: bigint, clusterId: bigint, affected: Set<bigint>): void {
    affected.add(host);
    const clusters = this.byHost.get(host);
    clusters?.delete(clusterId);
    if (clusters?.size === 0) this.byHost.delete(host);
  }
}
