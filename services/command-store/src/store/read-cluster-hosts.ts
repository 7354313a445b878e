import { query } from "../database/query.js";
import type { Database } from "../database/together.js";
import type { ClusterHost } from "../fleet/cluster.js";
import { parseLabels } from "./list-hosts.js";

/** What clusters need to know of these hosts; names without a host are left out. Their facts stay in the database. */
export async function readClusterHosts(
  db: Database,
  hostNames: readonly string[],
): Promise<ClusterHost[]> {
  if (hostNames.length === 0) return [];
  const rows = await query<{
    host_id: number;
    host_name: string;
    labels: string;
    address: string | null;
  }>(
    db,
    `select host_id, host_name, labels,
      if(json_valid(facts), json_unquote(json_extract(facts, '$.ipaddress')), null) as address
    from host where host_name in (?)`,
    [hostNames],
  );
  return rows.map((row) => {
    const { rack } = parseLabels(row.labels);
    return {
      hostId: row.host_id,
      hostName: row.host_name,
      ...(rack ? { rackName: rack } : {}),
      ...(row.address !== null && /^\d+(\.\d+){3}$/.test(row.address) ? { ipv4: row.address } : {}),
    };
  });
}
