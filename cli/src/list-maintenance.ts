import type { InMaintenance } from "@howdah/proto/howdah/v1/fleet_service";
import type { Session } from "./session.js";

const pageSize = 10_000;

/** All that is in maintenance: hosts, services, components on hosts. */
export async function listMaintenance({ fleet }: Session): Promise<InMaintenance[]> {
  const entries: InMaintenance[] = [];
  let pageToken = "";
  do {
    const page = await fleet.listMaintenance({ pageSize, pageToken });
    entries.push(...page.entries);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return entries;
}
