import type { Lease } from "@howdah/proto/howdah/v1/store_leases";

type SeenLease = Pick<Lease, "name" | "token" | "counter">;

/**
 * Watches leases: one has expired when neither its token nor its counter has changed for its duration, on our monotonic clock, counted
 * anew after the store was away, when nobody could renew.
 */
export class LeaseWatch {
  private seen = new Map<string, { readonly lease: Lease; readonly since: number }>();

  /** The leases as they are now. */
  look(leases: readonly Lease[], now: number): void {
    const next: typeof this.seen = new Map();
    for (const lease of leases) {
      const before = this.seen.get(lease.name);
      const same = before?.lease.token === lease.token && before.lease.counter === lease.counter;
      next.set(lease.name, { lease, since: same ? before.since : now });
    }
    this.seen = next;
  }

  /** The store was away: what stood still meanwhile proves nothing. */
  restart(): void {
    this.seen.clear();
  }

  /** The leases that have expired. */
  expired(now: number): SeenLease[] {
    return [...this.seen.values()]
      .filter(({ lease, since }) => now - since > Number(lease.durationMs))
      .map(({ lease: { name, token, counter } }) => ({ name, token, counter }));
  }
}
