import type { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { query } from "../database/query.js";
import type { Binding } from "../database/statement.js";
import type { Database } from "../database/together.js";

/** A component on a host, as lists show it. */
export interface HostComponentRow {
  readonly service: string;
  readonly component: string;
  readonly hostName: string;
  readonly desired: ComponentState;
  readonly current: ComponentState;
  readonly client: number;
  /** 1 where its own switch is on; the cluster has another. */
  readonly autoStart: number;
  readonly changedAt: number;
  /** SHA-256 of the configurations that it was started with (installed, for a client); empty before that. */
  readonly configurations: string;
  /** Of its own maintenance; null while it is off. */
  readonly maintenanceReason: string | null;
  readonly maintenanceSince: number | null;
  /** Of its host, a JSON object; empty unless asked for. */
  readonly labels: string;
}

/** Where in the list of a cluster's components something stands. */
export interface ComponentPlace {
  readonly service: string;
  readonly component: string;
  readonly hostName: string;
}

/** Which components to list. */
export interface ComponentFilter {
  readonly clusterId: number;
  /** None means all. */
  readonly services: readonly string[];
  /** None means all. */
  readonly components: readonly string[];
  /** Undefined means all. */
  readonly hostNames: readonly string[] | undefined;
  /** Only what was started with other configurations than these. */
  readonly configurationsOtherThan: string | undefined;
  readonly withLabels: boolean;
  /** Without clients. */
  readonly serversOnly: boolean;
}

/** So few hosts are looked up one by one; more are picked out of the list. */
const maxLookedUp = 200;

/** The next components of a cluster behind `after`, by service, component and host name, `limit` at most. */
export async function listHostComponents(
  db: Database,
  filter: ComponentFilter,
  after: ComponentPlace | undefined,
  limit: number,
): Promise<HostComponentRow[]> {
  const { hostNames, withLabels } = filter;
  const byHost = hostNames !== undefined && hostNames.length <= maxLookedUp;
  const conditions = ["hc.cluster_id = ?"];
  const bindings: Binding[] = [filter.clusterId];
  const and = (condition: string, ...values: Binding[]) => {
    conditions.push(condition);
    bindings.push(...values);
  };
  if (hostNames !== undefined)
    and(byHost ? "h.host_name in (?)" : "hc.host_name in (?)", hostNames);
  if (filter.services.length > 0) and("hc.service_name in (?)", filter.services);
  if (filter.components.length > 0) and("hc.component_name in (?)", filter.components);
  if (filter.serversOnly) and("hc.client = 0");
  if (filter.configurationsOtherThan !== undefined) {
    and("hc.binding_id > 0 and b.configurations_digest <> ?", filter.configurationsOtherThan);
  }
  if (after !== undefined) {
    const { service, component, hostName } = after;
    and(
      `hc.service_name >= ? and (hc.service_name > ? or hc.component_name > ?
        or (hc.component_name = ? and hc.host_name > ?))`,
      ...[service, service, component, component, hostName],
    );
  }
  const tables = byHost
    ? `host h force index (host_name) straight_join host_component hc force index (host) on hc.host_id = h.host_id`
    : `host_component hc force index (listing) ${withLabels ? "join host h on h.host_id = hc.host_id" : ""}`;
  return query<HostComponentRow>(
    db,
    `select hc.service_name as service, hc.component_name as component, hc.host_name as hostName,
      hc.desired_state + 0 as desired, hc.current_state + 0 as current, hc.client,
      hc.auto_start as autoStart, hc.changed_at as changedAt,
      coalesce(b.configurations_digest, '') as configurations, m.reason as maintenanceReason, m.since as maintenanceSince,
      ${withLabels ? "h.labels" : "''"} as labels
    from ${tables} left join command_binding b on b.binding_id = hc.binding_id
    left join maintenance m on m.cluster_id = hc.cluster_id and m.service_name = hc.service_name
      and m.component_name = hc.component_name and m.host_id = hc.host_id
    where ${conditions.join(" and ")}
    order by hc.service_name, hc.component_name, hc.host_name limit ?`,
    [...bindings, limit],
  );
}
