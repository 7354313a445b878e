import { CliError } from "./cli-error.js";
import type { Session } from "./session.js";

/**
 * Refuses a selector that names hosts plainly which are not there: no host for a misspelt name would read as all is well. A pattern
 * may match nothing.
 * @param found names of hosts that are known to be there
 */
export async function refuseUnknownHosts(
  { fleet }: Session,
  selector: string,
  found: readonly string[],
): Promise<void> {
  if (/[*?[\]]/.test(selector)) return;
  const there = new Set(found);
  const names = selector.split(",").map((name) => name.trim().toLowerCase());
  const missing = () => names.filter((name) => name !== "" && !there.has(name));
  if (missing().length === 0) return;
  // A label, --lost or a limit may have left them out.
  for (let pageToken = ""; ; ) {
    const page = await fleet.listHosts({
      selector: { names: [selector] },
      ...{ pageSize: 10_000, pageToken, brief: true },
    });
    for (const { hostName } of page.hosts) there.add(hostName);
    pageToken = page.nextPageToken;
    if (pageToken === "") break;
  }
  const unknown = missing();
  if (unknown.length === 0) return;
  throw new CliError(`no agent has ever registered as ${unknown.join(", ")}; check the spelling`);
}

/** Refuses services and components that the cluster has not. */
export async function refuseUnknownParts(
  { fleet }: Session,
  name: string,
  asked: { readonly service: readonly string[]; readonly component: readonly string[] },
): Promise<void> {
  if (asked.service.length + asked.component.length === 0) return;
  const { cluster } = await fleet.getCluster({ name });
  if (cluster === undefined) return;
  const service = cluster.services.map((each) => each.name);
  const component = cluster.services.flatMap((each) => each.components.map((one) => one.name));
  for (const [kind, there] of Object.entries({ service, component })) {
    const unknown = asked[kind as keyof typeof asked].filter((one) => !there.includes(one));
    if (unknown.length === 0) continue;
    const has = `is not in cluster ${cluster.name}, which has ${[...new Set(there)].join(", ")}`;
    throw new CliError(`--${kind}: ${unknown.join(", ")} ${has}`);
  }
}
