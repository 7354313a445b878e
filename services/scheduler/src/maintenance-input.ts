import type { Client } from "@connectrpc/connect";
import type { Host } from "@howdah/proto/howdah/v1/fleet";
import type {
  FleetService,
  InMaintenance as MaintenanceEntry,
} from "@howdah/proto/howdah/v1/fleet_service";
import { type InMaintenance, placeOf } from "./planner/maintenance.js";

const pageSize = 10_000;

/** Lists all that is in maintenance. */
export async function listMaintenance(
  fleet: Client<typeof FleetService>,
  signal: AbortSignal,
): Promise<MaintenanceEntry[]> {
  const entries: MaintenanceEntry[] = [];
  let pageToken = "";
  do {
    const page = await fleet.listMaintenance({ pageSize, pageToken }, { signal });
    entries.push(...page.entries);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return entries;
}

/** The hosts that are in maintenance, by name, and why. */
export function hostsInMaintenance(hosts: readonly Host[]): Map<string, string> {
  return new Map(
    hosts.flatMap(({ hostName, maintenance }) =>
      maintenance === undefined ? [] : [[hostName, maintenance.reason] as const],
    ),
  );
}

/** What is in maintenance, for a plan of a cluster. */
export function maintenanceOf(
  cluster: string,
  hosts: readonly Host[],
  entries: readonly MaintenanceEntry[],
): InMaintenance {
  const services = new Map<string, string>();
  const components = new Map<string, string>();
  for (const { cluster: of, serviceName, componentName, hostName, maintenance } of entries) {
    if (of !== cluster) continue;
    const { reason = "" } = maintenance ?? {};
    if (componentName === "") services.set(serviceName, reason);
    else components.set(placeOf(componentName, hostName), reason);
  }
  return { hosts: hostsInMaintenance(hosts), services, components };
}

/** Reads which hosts are in maintenance, by id, and why. */
export async function readHostsInMaintenance(
  fleet: Client<typeof FleetService>,
  signal: AbortSignal,
): Promise<Map<bigint, string>> {
  const entries = await listMaintenance(fleet, signal);
  const hosts = entries.filter(({ serviceName }) => serviceName === "");
  return new Map(hosts.map(({ hostId, maintenance }) => [hostId, maintenance?.reason ?? ""]));
}
