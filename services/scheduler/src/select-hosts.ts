import type { Client } from "@connectrpc/connect";
import type { Host } from "@howdah/proto/howdah/v1/fleet";
import type { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import type { HostSelector } from "@howdah/proto/howdah/v1/operation";
import { invalidArgument } from "./invalid-argument.js";
import { shorten } from "./planner/operation.js";

const pageSize = 10_000;

/** Whether it selects all hosts. */
export function isEmpty(selector: HostSelector): boolean {
  return selector.names.length === 0 && Object.keys(selector.labels).length === 0;
}

/** Lists hosts, all of them without a selector. */
export async function listHosts(
  fleet: Client<typeof FleetService>,
  selector: HostSelector | undefined,
  signal: AbortSignal,
): Promise<Host[]> {
  const hosts: Host[] = [];
  let pageToken = "";
  do {
    const page = await fleet.listHosts(
      { ...(selector && { selector }), pageSize, pageToken, brief: true },
      { signal },
    );
    hosts.push(...page.hosts);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return hosts;
}

/**
 * The hosts that are selected.
 * @param field the selector's name in the call, for messages
 * @throws ConnectError INVALID_ARGUMENT when there is none, or when one that is named is not known: nothing is left out silently
 */
export async function selectHosts(
  fleet: Client<typeof FleetService>,
  selector: HostSelector,
  field: string,
  signal: AbortSignal,
): Promise<Host[]> {
  const hosts = await listHosts(fleet, selector, signal);
  const missing = unknownNames(selector, hosts);
  if (missing.length > 0) {
    throw invalidArgument(
      field,
      `no agent has ever registered as ${shorten(missing)}; check the spelling`,
    );
  }
  if (hosts.length === 0) throw invalidArgument(field, `${describe(selector)} selects no host`);
  return hosts;
}

/** The plain names that no host has. With labels a host may be known and not selected. */
function unknownNames({ names, labels }: HostSelector, hosts: readonly Host[]): string[] {
  if (Object.keys(labels).length > 0) return [];
  const known = new Set(hosts.map((host) => host.hostName));
  return [...plainNames({ names })].filter((name) => !known.has(name));
}

/** The hosts that a selector names plainly, in lower case: not by a pattern. */
export function plainNames(selector: Pick<HostSelector, "names"> | undefined): Set<string> {
  // Commas stand inside [] too; a pattern among names in one text makes none of them plain.
  const plain = (selector?.names ?? []).filter((name) => !/[*?[\]]/.test(name));
  return new Set(plain.flatMap((name) => name.split(",")).map((name) => name.trim().toLowerCase()));
}

/** The selector in words. */
export function describe(selector: HostSelector): string {
  const labels = Object.entries(selector.labels).map(([key, value]) =>
    value === "" ? key : `${key}=${value}`,
  );
  return [...selector.names, ...labels].join(", ");
}
