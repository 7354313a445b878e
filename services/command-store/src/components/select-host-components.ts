import type { Knex } from "knex";
import { type HostComponentRow, listHostComponents } from "../store/list-host-components.js";
import { parseLabels } from "../store/list-hosts.js";
import type { ClusterHeader } from "../store/read-cluster.js";
import type { ComponentPage } from "./host-component-requests.js";

const rowsAtOnce = 5_000;
/** A message has 4 MiB at most: a page ends early rather than not at all. */
const pageBytes = 2 << 20;

/** A component on a host, and the configuration types of its service that have changed since it was started. */
export interface ListedComponent extends HostComponentRow {
  readonly changedTypes: readonly string[];
}

/** A page of the selected components, and whether there are more. Patterns and labels of hosts are matched here: SQL has no ranges. */
export async function selectHostComponents(
  db: Knex,
  cluster: ClusterHeader,
  page: ComponentPage,
  changesOf: (row: HostComponentRow) => Promise<readonly string[]>,
): Promise<{ listed: ListedComponent[]; more: boolean }> {
  const { services, components, hosts, byLabels, restartRequiredOnly, size, after } = page;
  const filter = {
    clusterId: cluster.clusterId,
    services,
    components,
    hostNames: hosts.exactNames,
    configurationsOtherThan: restartRequiredOnly ? cluster.configurationsDigest : undefined,
    withLabels: byLabels,
    serversOnly: page.serversOnly,
  };
  // One more than the page holds tells whether there are more. Of what is picked out here many may be read in vain.
  const picks = restartRequiredOnly || hosts.exactNames === undefined;
  const limit = picks ? rowsAtOnce : Math.min(rowsAtOnce, size + 1);
  const listed: ListedComponent[] = [];
  let bytes = 0;
  for (let from = after; ; ) {
    const rows = await listHostComponents(db, filter, from, limit);
    for (const row of rows) {
      from = row;
      if (!hosts.matches(row.hostName, parseLabels(row.labels))) continue;
      const changedTypes = await changesOf(row);
      if (restartRequiredOnly && changedTypes.length === 0) continue;
      if (listed.length === size || bytes > pageBytes) return { listed, more: true };
      listed.push({ ...row, changedTypes });
      bytes += 100 + row.hostName.length + changedTypes.join().length;
    }
    if (rows.length < limit) return { listed, more: false };
  }
}
