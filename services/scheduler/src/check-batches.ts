import { create, toBinary } from "@bufbuild/protobuf";
import { type StatusCheck, StatusCheckSchema } from "@howdah/proto/howdah/v1/command";
import {
  type HostStatusCheck,
  HostStatusCheckSchema,
} from "@howdah/proto/howdah/v1/dispatcher_service";

/** What is to be checked where. A host that is not in it has nothing to be checked. */
export interface ChecksOfHosts {
  readonly checks: readonly StatusCheck[];
  /** By host, which of the checks. */
  readonly byHost: ReadonlyMap<bigint, readonly number[]>;
}

/** What one call may hold; a dispatcher refuses more than twice that. */
const maxHosts = 500;
const maxBytes = 1 << 20;
/** Never less than a host's id has on the wire. */
const idBytes = 12;

/**
 * The calls that tell hosts all of their checks: each host is in one call, a check is in a call once however many of its hosts are.
 * Hosts without any check are named too, so that they forget what they checked before.
 */
export function checkBatches(
  { checks, byHost }: ChecksOfHosts,
  hosts: Iterable<bigint>,
): HostStatusCheck[][] {
  const sizes = checks.map((check) => toBinary(StatusCheckSchema, check).length + 8);
  const batches: HostStatusCheck[][] = [];
  let hostsByCheck = new Map<number | undefined, bigint[]>();
  let count = 0;
  let bytes = 0;

  function close(): void {
    if (count === 0) return;
    batches.push(
      [...hostsByCheck].map(([at, hostIds]) => {
        const check = at === undefined ? undefined : checks[at];
        return create(HostStatusCheckSchema, { ...(check && { check }), hostIds });
      }),
    );
    hostsByCheck = new Map();
    count = 0;
    bytes = 0;
  }

  for (const host of hosts) {
    const ofHost = byHost.get(host) ?? [];
    const more = () =>
      ofHost.reduce(
        (sum, at) => sum + idBytes + (hostsByCheck.has(at) ? 0 : (sizes[at] ?? 0)),
        idBytes,
      );
    if (count === maxHosts || (count > 0 && bytes + more() > maxBytes)) close();
    bytes += more();
    count += 1;
    for (const at of ofHost.length === 0 ? [undefined] : ofHost) {
      const list = hostsByCheck.get(at);
      if (list === undefined) hostsByCheck.set(at, [host]);
      else list.push(host);
    }
  }
  close();
  return batches;
}
