import { isJsonObject, type Json, type JsonObject } from "./json.js";

/** The names by which stacks may mean a host's system, such as `redhat8` or `ubuntu22`; a stack's `any` means all. */
export function systemNames(system: Readonly<Record<string, unknown>>): string[] {
  const { operatingsystem, operatingsystemrelease, osfamily } = system;
  const major = /^\d+/.exec(String(operatingsystemrelease ?? ""))?.[0] ?? "";
  return [...new Set([`${osfamily}${major}`, `${operatingsystem}${major}`])];
}

/**
 * The packages of a service for this host's system, as `commandParams.package_list` has them: JSON inside JSON. What the metadata has of
 * them is by service a list of `{ osFamilies, packages }`. Undefined when the service says nothing about packages.
 */
export function packageListOf(
  metadata: JsonObject,
  service: string,
  names: readonly string[],
): string | undefined {
  const services = metadata.osPackages;
  const lists = isJsonObject(services) ? services[service] : undefined;
  if (!Array.isArray(lists)) return undefined;
  const wanted = new Set(["any", ...names]);
  const packages = (lists as readonly Json[]).filter(isJsonObject).flatMap((each) => {
    const families = Array.isArray(each.osFamilies) ? (each.osFamilies as readonly Json[]) : [];
    if (!families.some((family) => wanted.has(String(family)))) return [];
    return Array.isArray(each.packages) ? (each.packages as readonly Json[]) : [];
  });
  return JSON.stringify(packages);
}
