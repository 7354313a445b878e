import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { type Host, HostSchema, HostState } from "@howdah/proto/howdah/v1/fleet";
import { countOption, labelOption, leafCommand, type Run, sessionOf } from "../leaf-command.js";
import type { Session } from "../session.js";
import { jsonLine } from "../text/json.js";
import { renderTable } from "../text/table.js";
import { localTime, plural } from "../text/words.js";

/** Facts make a host large; a page must stay below the size of a message. */
const pageSize = 50;

/** `howdah hosts [SELECTOR]` */
export function addHosts(program: CommandUnknownOpts, run: Run): void {
  leafCommand(program, "hosts", "list hosts and whether their agents are connected")
    .argument("[selector]", "names: web-*, db-[01-20], several with commas; default all")
    .option("--label <key=value>", "only hosts with this label; may be given again", labelOption)
    .option("--limit <count>", "how many at most", countOption, 50)
    .option("--all", "all of them, however many")
    .action(async (selector, options, command) => {
      const session = sessionOf(run, command);
      const limit = options.all || session.json ? Number.POSITIVE_INFINITY : options.limit;
      const hosts = await listHosts(session, selector, options.label, limit + 1);
      if (session.json) {
        for (const host of hosts) session.io.out(jsonLine(HostSchema, host));
        return;
      }
      session.io.out(hostTable(hosts.slice(0, limit)));
      if (hosts.length > limit) {
        session.io.out(
          `the first ${plural(limit, "host")}; there are more: --all, or a selector\n`,
        );
      }
    });
}

/** Hosts by name, at most so many. */
async function listHosts(
  { fleet }: Session,
  selector: string | undefined,
  labels: Record<string, string> = {},
  limit: number,
): Promise<Host[]> {
  const hosts: Host[] = [];
  let pageToken = "";
  do {
    const page = await fleet.listHosts({
      selector: { names: selector === undefined ? [] : [selector], labels },
      pageSize: Math.min(pageSize, limit - hosts.length),
      pageToken,
    });
    hosts.push(...page.hosts);
    pageToken = page.nextPageToken;
  } while (pageToken !== "" && hosts.length < limit);
  return hosts;
}

/** A table of hosts, and how many are connected. */
export function hostTable(hosts: readonly Host[]): string {
  if (hosts.length === 0) return "no hosts\n";
  const rows = hosts.map((host) => {
    const since = host.state === HostState.HEALTHY ? host.registeredAt : host.disconnectedAt;
    const labels = Object.entries(host.labels).map(([key, value]) => `${key}=${value}`);
    return [
      host.hostName,
      HostState[host.state] ?? "",
      localTime(since),
      host.agentVersion,
      host.peerAddress,
      labels.sort().join(" "),
    ];
  });
  const lost = hosts.filter(({ state }) => state !== HostState.HEALTHY).length;
  const summary = `${plural(hosts.length, "host")}, ${lost === 0 ? "all connected" : `${lost} not connected`}\n`;
  return renderTable(["HOST", "STATE", "SINCE", "AGENT", "ADDRESS", "LABELS"], rows) + summary;
}
