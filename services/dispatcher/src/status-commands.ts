import type { StatusCheck } from "@howdah/proto/howdah/v1/command";
import type { HostStatusCheck } from "@howdah/proto/howdah/v1/dispatcher_service";
import { invalid } from "./invalid.js";

/** How many hosts one call may name, and how many checks of hosts in all. */
const maxHosts = 1_000;
const maxChecks = 100_000;

/**
 * The checks of each host. A host that is named without a check has none. Throws INVALID_ARGUMENT when it is more than one call may
 * hold.
 */
export function checksByHost(checks: readonly HostStatusCheck[]): Map<bigint, StatusCheck[]> {
  const byHost = new Map<bigint, StatusCheck[]>();
  let count = 0;
  for (const { check, hostIds } of checks) {
    count += hostIds.length;
    if (count > maxChecks) throw invalid(`checks: more than ${maxChecks} for all hosts together`);
    for (const hostId of hostIds) {
      let ofHost = byHost.get(hostId);
      if (ofHost === undefined) {
        if (byHost.size === maxHosts) throw invalid(`checks: more than ${maxHosts} hosts`);
        ofHost = [];
        byHost.set(hostId, ofHost);
      }
      if (check !== undefined) ofHost.push(check);
    }
  }
  return byHost;
}
