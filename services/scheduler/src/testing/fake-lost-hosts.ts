import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { RecordLostHostsRequest } from "@howdah/proto/howdah/v1/store_hosts";

/** Lost hosts in memory, by the rules of the store. */
export class FakeLostHosts {
  /** What was recorded, a list of host ids for each call that named some. */
  readonly calls: number[][] = [];
  /** The last call. */
  last: RecordLostHostsRequest | undefined;
  /** Hosts whose session is open as far as the store knows. */
  readonly open = new Set<bigint>();
  /** Whether a lower token than before is refused. */
  fences = true;
  private readonly lost = new Set<bigint>();
  private token = 0n;

  /** The call; `check` throws while the store is away. */
  record(check: () => void): ServiceImpl<typeof CommandStoreService>["recordLostHosts"] {
    return (request) => {
      check();
      if (this.fences && request.schedulerToken < this.token) {
        throw new ConnectError("a newer scheduler records host states", Code.FailedPrecondition);
      }
      this.token = request.schedulerToken;
      this.last = request;
      const ids = request.hosts.map(({ hostId }) => hostId);
      if (ids.length > 0) this.calls.push(ids.map(Number));
      const lostHostIds = ids.filter((id) => !this.open.has(id) && !this.lost.has(id));
      for (const id of lostHostIds) this.lost.add(id);
      return { lostHostIds };
    };
  }
}
