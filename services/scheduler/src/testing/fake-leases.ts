import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { type Lease, LeaseSchema } from "@howdah/proto/howdah/v1/store_leases";

type LeaseCalls = Pick<
  ServiceImpl<typeof CommandStoreService>,
  "acquireLease" | "renewLease" | "releaseLease" | "listLeases"
>;

/** Leases in memory, by the rules of the store. */
export class FakeLeases {
  readonly rows = new Map<string, Lease>();
  /** Every holder that took one, in order. */
  readonly taken: string[] = [];

  /** Makes the calls; `check` throws while the store is away. */
  calls(check: () => void): LeaseCalls {
    return {
      acquireLease: ({ name, holder, address, durationMs, expiredToken, expiredCounter }) => {
        check();
        const old = this.rows.get(name);
        if (old?.holder === holder) {
          // A repeated call, whose first answer was lost.
          old.counter += 1n;
          return { lease: old, acquired: true };
        }
        const free =
          old === undefined ||
          old.holder === "" ||
          instanceOf(old.holder) === instanceOf(holder) ||
          (old.token === expiredToken && old.counter === expiredCounter);
        if (!free) return { lease: old, acquired: false };
        const token = (old?.token ?? 0n) + 1n;
        const lease = create(LeaseSchema, {
          name,
          holder,
          address,
          durationMs,
          token,
          counter: 1n,
        });
        this.rows.set(name, lease);
        this.taken.push(holder);
        return { lease, acquired: true };
      },
      renewLease: ({ name, token }) => {
        check();
        const lease = this.rows.get(name);
        if (lease === undefined || lease.token !== token) {
          throw new ConnectError(`lease ${name} was taken`, Code.FailedPrecondition);
        }
        lease.counter += 1n;
        return {};
      },
      releaseLease: ({ name, token }) => {
        check();
        const lease = this.rows.get(name);
        if (lease?.token === token) lease.holder = "";
        return {};
      },
      listLeases: ({ prefix }) => {
        check();
        return { leases: [...this.rows.values()].filter(({ name }) => name.startsWith(prefix)) };
      },
    };
  }
}

function instanceOf(holder: string): string {
  return holder.slice(0, holder.lastIndexOf("/"));
}
