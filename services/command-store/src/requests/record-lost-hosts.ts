import { Code, ConnectError } from "@connectrpc/connect";
import type { RecordLostHostsRequest } from "@howdah/proto/howdah/v1/store_hosts";
import type { Knex } from "knex";
import { checkId } from "../check-id.js";
import { inTransaction } from "../database/transaction.js";
import { invalid } from "../invalid.js";
import { type LeaseRow, readLeases } from "../store/leases.js";
import { writeClosedSessions } from "../store/sessions.js";
import {
  claimHostMonitor,
  type ReachableHost,
  readReachableHosts,
  writeLostHosts,
  writeUnknownComponents,
} from "../store/write-lost-hosts.js";

const maxHosts = 1_000;

/** Checks a batch of the host monitor's decisions. */
export function checkRecordLostHosts({ schedulerToken, hosts }: RecordLostHostsRequest): void {
  checkId("scheduler_token", schedulerToken);
  if (hosts.length > maxHosts) {
    throw invalid("hosts", hosts.length, `are too many; send ${maxHosts} at most`);
  }
  const seen = new Set<bigint>();
  for (const { hostId, sessionEpoch } of hosts) {
    checkId("hosts.host_id", hostId);
    checkId("hosts.session_epoch", sessionEpoch);
    if (seen.has(hostId)) throw invalid("hosts.host_id", hostId, "comes twice");
    seen.add(hostId);
  }
}

/**
 * Records which hosts are lost, in one transaction, and gives the ids of those that were not before. A host that has registered again,
 * or whose session a dispatcher holds, is passed over.
 */
export function recordLostHosts(
  db: Knex,
  { schedulerToken, hosts, expiredLeases }: RecordLostHostsRequest,
  now: number,
): Promise<number[]> {
  return inTransaction(db, async (trx) => {
    if (!(await claimHostMonitor(trx, Number(schedulerToken)))) {
      throw new ConnectError(
        `scheduler_token ${schedulerToken} is stale: a newer scheduler records host states`,
        Code.FailedPrecondition,
      );
    }
    const reachable = await readReachableHosts(
      trx,
      hosts.map(({ hostId, sessionEpoch }) => ({
        hostId: Number(hostId),
        sessionEpoch: Number(sessionEpoch),
      })),
    );
    const leases = new Map<string, LeaseRow>();
    if (reachable.some(({ open }) => open)) {
      for (const lease of await readLeases(trx, "")) leases.set(lease.name, lease);
    }
    const isHeld = ({ open, dispatcher, dispatcherToken }: ReachableHost) => {
      const lease = leases.get(dispatcher);
      if (!open || lease === undefined) return false;
      if (lease.holder === "" || lease.token > dispatcherToken) return false;
      return !expiredLeases.some(
        ({ name, token, counter }) =>
          name === dispatcher && Number(token) === lease.token && Number(counter) === lease.counter,
      );
    };
    const lost = reachable.filter((host) => !isHeld(host));
    if (lost.length === 0) return [];
    await writeLostHosts(trx, lost, now);
    await writeClosedSessions(
      trx,
      lost.filter(({ open }) => open),
      now,
    );
    const ids = lost.map(({ hostId }) => hostId).sort((a, b) => a - b);
    await writeUnknownComponents(trx, ids, now);
    return ids;
  });
}
