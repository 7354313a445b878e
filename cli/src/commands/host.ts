import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { type Host, type HostComponent, HostSchema } from "@howdah/proto/howdah/v1/fleet";
import { leafCommand, type Run, sessionOf } from "../leaf-command.js";
import { listComponents } from "../list-components.js";
import type { Session } from "../session.js";
import { jsonLine } from "../text/json.js";
import { renderTable } from "../text/table.js";
import { localTime } from "../text/words.js";
import { componentWord } from "./components.js";
import { stateOf } from "./hosts.js";

/** `howdah host NAME` */
export function addHost(program: CommandUnknownOpts, run: Run): void {
  leafCommand(program, "host", "show a host: what it is, how it is, what is on it")
    .argument("<name>", "the host's name")
    .option("--facts", "all that its agent tells of it")
    .action(async (hostName, options, command) => {
      const session = sessionOf(run, command);
      const { host } = await session.fleet.getHost({ hostName });
      if (host === undefined) return;
      if (session.json) {
        session.io.out(jsonLine(HostSchema, host));
        return;
      }
      session.io.out(
        hostText(host, await componentsOn(session, host.hostName), options.facts === true),
      );
    });
}

/** The components on a host, of all clusters. */
async function componentsOn(session: Session, hostName: string): Promise<HostComponent[]> {
  const { clusters } = await session.fleet.listClusters({});
  const found: HostComponent[] = [];
  for (const { name: cluster } of clusters) {
    const hosts = { names: [hostName], labels: {} };
    found.push(...(await listComponents(session, { cluster, hosts }, Number.POSITIVE_INFINITY)));
  }
  return found;
}

type Facts = Readonly<Record<string, unknown>>;

/** A host for people: who and where it is, its problems, what it is made of, its disks, its components. */
export function hostText(host: Host, components: readonly HostComponent[], all: boolean): string {
  const facts = factsOf(host.factsJson);
  const status = factsOf(host.statusJson);
  const mounts = listOf(status.mounts ?? facts.mounts);
  const parts = [
    pairs(identity(host, facts)),
    host.problems.map((text) => `PROBLEM  ${text}\n`).join(""),
    mounts.length === 0 ? "" : mountTable(mounts),
    components.length === 0 ? "" : componentTable(components),
    all ? pairs(flat(facts)) : "",
  ];
  return parts.filter((part) => part !== "").join("\n");
}

function identity(host: Host, facts: Facts): [string, string][] {
  const { word, since } = stateOf(host);
  const labels = Object.entries(host.labels).map(([key, value]) => `${key}=${value}`);
  const fact = (name: string) => textOf(facts[name]);
  const skewMs = factsOf(host.statusJson).clockSkewMs;
  return [
    ["host", host.hostName],
    ["state", [word, since === undefined ? "" : `since ${localTime(since)}`].join(" ").trim()],
    ["maintenance", host.maintenance === undefined ? "" : host.maintenance.reason || "yes"],
    ["labels", labels.sort().join(" ")],
    ["agent", `${host.agentVersion} from ${host.peerAddress}`],
    ["session", `${host.sessionEpoch}${host.dispatcher === "" ? "" : ` with ${host.dispatcher}`}`],
    ["public name", fact("publicHostname")],
    ["system", [fact("operatingsystem"), fact("operatingsystemrelease")].join(" ").trim()],
    ["kernel", [fact("kernel"), fact("kernelrelease"), fact("architecture")].join(" ").trim()],
    [
      "machine",
      [counted(fact("processorcount"), "processor"), memory(facts)].filter(Boolean).join(", "),
    ],
    ["virtual", fact("virtual")],
    ["address", [fact("ipaddress"), fact("macaddress")].filter(Boolean).join(" ")],
    ["time zone", fact("timezone")],
    [
      "clock",
      typeof skewMs === "number" ? `${(skewMs / 1_000).toFixed(1)} s from the server's` : "",
    ],
  ];
}

function counted(count: string, what: string): string {
  return count === "" ? "" : `${count} ${what}${count === "1" ? "" : "s"}`;
}

function memory({ memorytotal, swapsize }: Facts): string {
  if (typeof memorytotal !== "number") return "";
  const swap = typeof swapsize === "string" ? `, ${swapsize} swap` : "";
  return `${gigabytes(memorytotal)} memory${swap}`;
}

function mountTable(mounts: readonly Facts[]): string {
  const kb = (value: unknown) => gigabytes(Number(value));
  const rows = mounts.map((mount) => [
    textOf(mount.mountpoint),
    textOf(mount.type),
    textOf(mount.device),
    kb(mount.size),
    kb(mount.available),
    textOf(mount.percent),
    textOf(mount.inodes),
    mount.readonly === "true" ? "read-only" : "",
  ]);
  return renderTable(["MOUNT", "TYPE", "DEVICE", "SIZE", "LEFT", "USED", "INODES", ""], rows);
}

function componentTable(components: readonly HostComponent[]): string {
  const rows = components.map((one) => [
    ...[one.cluster, one.serviceName, one.componentName, componentWord(one.currentState)],
    one.restartRequired ? "restart required" : "",
  ]);
  return renderTable(["CLUSTER", "SERVICE", "COMPONENT", "STATE", ""], rows);
}

function gigabytes(kb: number): string {
  return Number.isFinite(kb) ? `${(kb / 1_048_576).toFixed(1)} GB` : "";
}

/** `key  value` lines, without those that have no value. */
function pairs(rows: readonly (readonly [string, string])[]): string {
  const told = rows.filter(([, value]) => value !== "");
  const width = Math.max(0, ...told.map(([key]) => key.length));
  return told.map(([key, value]) => `${key.padEnd(width)}  ${value}\n`).join("");
}

/** Facts of facts as one list: `agentEnv.umask`. */
function flat(facts: Facts, prefix = ""): [string, string][] {
  return Object.keys(facts)
    .sort()
    .flatMap((key) => {
      const value = facts[key];
      const name = `${prefix}${key}`;
      return isFacts(value) ? flat(value, `${name}.`) : [[name, textOf(value)] as [string, string]];
    });
}

/** An empty one for what is no JSON object: agents of any version may have told it. */
function factsOf(json: string): Facts {
  try {
    const value: unknown = JSON.parse(json || "{}");
    return isFacts(value) ? value : {};
  } catch {
    return {};
  }
}

function listOf(value: unknown): Facts[] {
  return Array.isArray(value) ? value.filter(isFacts) : [];
}

function isFacts(value: unknown): value is Facts {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
