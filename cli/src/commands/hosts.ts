import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { type Host, HostSchema, HostState } from "@howdah/proto/howdah/v1/fleet";
import type { ListHostsRequestSchema } from "@howdah/proto/howdah/v1/fleet_service";
import { countOption, labelOption, leafCommand, type Run, sessionOf } from "../leaf-command.js";
import type { Session } from "../session.js";
import { jsonLine } from "../text/json.js";
import { renderTable } from "../text/table.js";
import { localTime, plural } from "../text/words.js";
import { refuseUnknownHosts } from "../unknown-names.js";

/** Facts make a host large; a page must stay below the size of a message. */
const pageSize = 50;
const countedAtOnce = 10_000;

/** `howdah hosts [SELECTOR]` */
export function addHosts(program: CommandUnknownOpts, run: Run): void {
  leafCommand(program, "hosts", "list hosts and whether they can be reached")
    .argument("[selector]", "names: web-*, db-[01-20], several with commas; default all")
    .option("--label <key=value>", "only hosts with this label; may be given again", labelOption)
    .option("--lost", "only hosts that are HEARTBEAT_LOST")
    .option("--problems", "only hosts with problems, and all that their agents tell of them")
    .option("--limit <count>", "how many at most", countOption, 50)
    .option("--all", "all of them, however many")
    .action(async (selector, options, command) => {
      const session = sessionOf(run, command);
      const limit = options.all || session.json ? Number.POSITIVE_INFINITY : options.limit;
      const { label: labels = {}, lost = false, problems = false } = options;
      const which = {
        selector: { names: selector === undefined ? [] : [selector], labels },
        state: lost ? HostState.HEARTBEAT_LOST : HostState.UNSPECIFIED,
        withProblems: problems,
      };
      const { hosts, nextPageToken } = await listHosts(session, which, limit);
      if (selector !== undefined) {
        const names = hosts.map(({ hostName }) => hostName);
        await refuseUnknownHosts(session, selector, names);
      }
      if (session.json) {
        for (const host of hosts) session.io.out(jsonLine(HostSchema, host));
        return;
      }
      if (hosts.length === 0) {
        const none = lost ? "no host is HEARTBEAT_LOST\n" : "no hosts\n";
        session.io.out(problems ? "no host with problems\n" : none);
        return;
      }
      const others = await otherHosts(session, which, nextPageToken);
      session.io.out(problems ? problemTable(hosts, others.length) : hostTable(hosts, others));
      if (others.length > 0) {
        session.io.out(
          `the first ${plural(limit, "is", "are")} shown: --all, --lost or a selector shows others\n`,
        );
      }
    });
}

type Which = Pick<
  MessageInitShape<typeof ListHostsRequestSchema>,
  "selector" | "state" | "withProblems"
>;

/** The hosts that are not shown, without their labels: they are counted all the same, or those that are lost would not be seen. */
async function otherHosts({ fleet }: Session, which: Which, from: string): Promise<Host[]> {
  const hosts: Host[] = [];
  for (let pageToken = from; pageToken !== ""; ) {
    const page = await fleet.listHosts({
      ...which,
      pageSize: countedAtOnce,
      pageToken,
      brief: true,
    });
    hosts.push(...page.hosts);
    pageToken = page.nextPageToken;
  }
  return hosts;
}

/** Hosts by name, at most so many, and where the others begin. */
async function listHosts({ fleet }: Session, which: Which, limit: number) {
  const hosts: Host[] = [];
  let pageToken = "";
  do {
    const page = await fleet.listHosts({
      ...which,
      pageSize: Math.min(pageSize, limit - hosts.length),
      pageToken,
    });
    hosts.push(...page.hosts);
    pageToken = page.nextPageToken;
  } while (pageToken !== "" && hosts.length < limit);
  return { hosts, nextPageToken: pageToken };
}

/** What a host is in a word, and since when. AWAY: without a session for a moment, and HEALTHY still. */
export function stateOf({ state, connected, registeredAt, disconnectedAt, lostAt }: Host) {
  if (state === HostState.HEARTBEAT_LOST) return { word: "HEARTBEAT_LOST", since: lostAt };
  return connected
    ? { word: "HEALTHY", since: registeredAt }
    : { word: "AWAY", since: disconnectedAt };
}

/** A table of hosts, and how many of them and of the others cannot be reached. */
export function hostTable(hosts: readonly Host[], others: readonly Host[] = []): string {
  const all = [...hosts, ...others];
  const maintained = all.filter(({ maintenance }) => maintenance !== undefined).length;
  const troubled = all.filter(({ problems }) => problems.length > 0).length;
  const rows = hosts.map((host) => {
    const { word, since } = stateOf(host);
    const labels = Object.entries(host.labels).map(([key, value]) => `${key}=${value}`);
    return [
      host.hostName,
      word,
      localTime(since),
      host.agentVersion,
      host.peerAddress,
      labels.sort().join(" "),
      ...(maintained > 0 ? [maintenanceOf(host)] : []),
      ...(troubled > 0 ? [problemsOf(host)] : []),
    ];
  });
  const words = all.map((host) => stateOf(host).word);
  const count = (word: string) => words.filter((one) => one === word).length;
  const [lost, away] = [count("HEARTBEAT_LOST"), count("AWAY")];
  const gone = [...(lost > 0 ? [`${lost} lost`] : []), ...(away > 0 ? [`${away} away`] : [])];
  const told = [gone.join(", ") || "all connected"];
  if (maintained > 0) told.push(`${maintained} in maintenance`);
  if (troubled > 0) told.push(`${troubled} with problems`);
  const summary = `${plural(all.length, "host")}, ${told.join(", ")}\n`;
  const head = ["HOST", "STATE", "SINCE", "AGENT", "ADDRESS", "LABELS"];
  if (maintained > 0) head.push("MAINTENANCE");
  if (troubled > 0) head.push("PROBLEMS");
  return renderTable(head, rows) + summary;
}

/** The first problem, and how many more there are. */
function problemsOf({ problems: [first = "", ...more] }: Host): string {
  return more.length === 0 ? first : `${first} and ${more.length} more`;
}

/** A row for each problem. */
function problemTable(hosts: readonly Host[], others: number): string {
  const rows = hosts.flatMap((host) =>
    host.problems.map((text, n) => [
      ...(n === 0 ? [host.hostName, stateOf(host).word] : ["", ""]),
      text,
    ]),
  );
  const count = plural(hosts.length + others, "host");
  return `${renderTable(["HOST", "STATE", "PROBLEM"], rows)}${count} with problems\n`;
}

/** Why it is in maintenance; empty when it is not. */
function maintenanceOf({ maintenance }: Host): string {
  return maintenance === undefined ? "" : maintenance.reason || "yes";
}
