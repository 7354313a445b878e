import { isJsonObject, type Json, type JsonObject } from "./json.js";

/**
 * `clusterHostInfo` as scripts expect it, from a cluster's cached topology: `<component>_hosts` in lower case, and
 * `all_hosts`, `all_racks`, `all_ipv4_ips` in one order.
 */
export function clusterHostInfoOf(topology: JsonObject): JsonObject {
  const hosts = objects(topology.hosts);
  const nameById = new Map(hosts.map((host) => [String(host.hostId), text(host.hostName)]));
  const info: Record<string, Json> = {
    all_hosts: hosts.map((host) => text(host.hostName)),
    all_racks: hosts.map((host) => text(host.rackName)),
    all_ipv4_ips: hosts.map((host) => text(host.ipv4)),
  };
  for (const component of objects(topology.components)) {
    const ids = Array.isArray(component.hostIds) ? (component.hostIds as readonly Json[]) : [];
    info[`${text(component.componentName).toLowerCase()}_hosts`] = ids
      .map((id) => nameById.get(String(id)))
      .filter((name) => name !== undefined);
  }
  return info;
}

/**
 * Expands the compressed form that a command's header may carry: hosts as index ranges (`["0-2,5"]`) into `all_hosts`;
 * ping ports, racks and addresses as `["<value>:<ranges>"]`, expanded to the order of `all_hosts`.
 */
export function expandClusterHostInfo(compressed: JsonObject): JsonObject {
  const allHosts = strings(compressed.all_hosts);
  const info: Record<string, Json> = {};
  for (const [name, value] of Object.entries(compressed)) {
    if (name === "all_hosts" || !Array.isArray(value)) info[name] = value;
    else if (valuedLists.has(name)) info[name] = expandValues(strings(value));
    else info[name] = expandHosts(strings(value), allHosts);
  }
  return info;
}

const valuedLists = new Set(["all_ping_ports", "all_racks", "all_ipv4_ips"]);

function expandValues(list: readonly string[]): string[] {
  const values: string[] = [];
  for (const item of list) {
    const colon = item.lastIndexOf(":"); // the value may be an IPv6 address
    for (const index of indexes(item.slice(colon + 1))) values[index] = item.slice(0, colon);
  }
  return Array.from(values, (value) => value ?? "");
}

function expandHosts(list: readonly string[], allHosts: readonly string[]): string[] {
  // A list that is not made of ranges holds names already.
  if (!list.every((item) => /^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$/.test(item))) return [...list];
  return list
    .flatMap(indexes)
    .map((index) => allHosts[index])
    .filter((name) => name !== undefined);
}

function indexes(ranges: string): number[] {
  return ranges.split(",").flatMap((range) => {
    const [from = 0, to = from] = range.split("-").map(Number);
    return Array.from({ length: Math.max(0, to - from + 1) }, (_, offset) => from + offset);
  });
}

function objects(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? (value as readonly Json[]).filter(isJsonObject) : [];
}

function strings(value: Json | undefined): string[] {
  return Array.isArray(value) ? (value as readonly Json[]).map(text) : [];
}

function text(value: Json | undefined): string {
  return value === undefined || value === null ? "" : String(value);
}
