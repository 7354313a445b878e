import type { AcquireLeaseRequest } from "@howdah/proto/howdah/v1/store_leases";
import type { Knex } from "knex";
import { insertLease, type LeaseRow, readLease, renewLease, takeLease } from "../store/leases.js";

/** A lease as it is now, and whether the caller holds it. */
export interface Acquired {
  readonly lease: LeaseRow;
  readonly acquired: boolean;
}

/**
 * Takes a lease that is free, given back, held by a former start of the same instance, or that the caller has watched unchanged for
 * its whole duration; keeps one that the very caller holds. No clock of this machine or the database's has a say. Every
 * write is conditional on what was read, so of two who take it at once one does.
 */
export async function acquireLease(
  db: Knex,
  request: AcquireLeaseRequest,
  now: number,
): Promise<Acquired> {
  const { name, holder, address } = request;
  const next = { holder, address, durationMs: Number(request.durationMs), renewedAt: now };
  const seen = await readLease(db, name);
  if (seen === undefined) {
    await insertLease(db, { name, ...next });
  } else if (seen.holder === holder) {
    // A repeated call, whose first answer was lost.
    await renewLease(db, name, seen.token, now);
  } else if (isFree(seen, request)) {
    await takeLease(db, seen, next);
  } else {
    // What standbys are told again and again.
    return { lease: seen, acquired: false };
  }
  const lease = await readLease(db, name);
  if (lease === undefined) throw new Error(`lease ${name} is gone: leases are never deleted`);
  return { lease, acquired: lease.holder === holder };
}

function isFree(lease: LeaseRow, request: AcquireLeaseRequest): boolean {
  if (lease.holder === "") return true;
  if (instanceOf(lease.holder) === instanceOf(request.holder)) return true;
  return (
    BigInt(lease.token) === request.expiredToken && BigInt(lease.counter) === request.expiredCounter
  );
}

/** The stable part of a holder's name, `NAME` of `NAME/RANDOM`. */
function instanceOf(holder: string): string {
  return holder.slice(0, holder.lastIndexOf("/"));
}
