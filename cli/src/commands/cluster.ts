import { readFile } from "node:fs/promises";
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import type { Cluster, ClusterService, HostComponent } from "@howdah/proto/howdah/v1/fleet";
import {
  ApplyClusterResponseSchema,
  GetClusterResponseSchema,
  ListClustersResponseSchema,
} from "@howdah/proto/howdah/v1/fleet_service";
import { CliError } from "../cli-error.js";
import { parseClusterFile } from "../cluster-file.js";
import { leafCommand, type Run, sessionOf } from "../leaf-command.js";
import { listComponents } from "../list-components.js";
import { jsonDocument } from "../text/json.js";
import { renderTable } from "../text/table.js";
import { localTime, plural, someNames } from "../text/words.js";
import { progressPhrase } from "./components.js";

/** `howdah cluster apply|list|show` */
export function addCluster(program: CommandUnknownOpts, run: Run): void {
  const cluster = program
    .command("cluster")
    .summary("say what runs where")
    .description("Say what runs where: services, their components on hosts, configurations.");

  leafCommand(cluster, "apply", "make a cluster what a file says; nothing runs on any host")
    .argument("<file>", "YAML or JSON; - for standard input")
    .action(async (file, _options, command) => {
      const session = sessionOf(run, command);
      const answer = await session.fleet.applyCluster(parseClusterFile(await read(file), file));
      if (session.json) {
        session.io.out(jsonDocument(ApplyClusterResponseSchema, answer));
        return;
      }
      for (const change of answer.changes) session.io.out(`${change}\n`);
      const what =
        answer.changes.length === 0 ? "is as the file says already" : "is as the file says";
      session.io.out(`cluster ${answer.cluster?.name} ${what}\n`);
    });

  leafCommand(cluster, "list", "list the clusters").action(async (_options, command) => {
    const session = sessionOf(run, command);
    const answer = await session.fleet.listClusters({});
    if (session.json) session.io.out(jsonDocument(ListClustersResponseSchema, answer));
    else session.io.out(clusterTable(answer.clusters));
  });

  leafCommand(cluster, "show", "show what a cluster has where")
    .argument("[name]", "the cluster; not needed where there is one")
    .option("--config", "its configurations too, with the stack's defaults")
    .option("--all", "every host's name, however many")
    .action(async (name = "", { config, all }, command) => {
      const session = sessionOf(run, command);
      const answer = await session.fleet.getCluster({ name });
      if (session.json) session.io.out(jsonDocument(GetClusterResponseSchema, answer));
      else if (answer.cluster !== undefined) {
        const components = await listComponents(session, { cluster: answer.cluster.name });
        const show = { config: config === true, all: all === true };
        session.io.out(clusterPage(answer.cluster, components, show));
      }
    });
}

/** A table of clusters. */
export function clusterTable(clusters: readonly Cluster[]): string {
  if (clusters.length === 0) return "no clusters\n";
  return renderTable(
    ["CLUSTER", "STACK", "SERVICES", "HOSTS"],
    clusters.map((cluster) => [
      cluster.name,
      cluster.stack,
      someNames(
        cluster.services.map(({ name }) => name),
        5,
      ),
      String(hostsOf(cluster).size),
    ]),
  );
}

/** A cluster with its components and, if asked for, its configurations. */
export function clusterPage(
  cluster: Cluster,
  components: readonly HostComponent[],
  show: { config: boolean; all: boolean },
): string {
  const limit = show.all ? Number.POSITIVE_INFINITY : 4;
  const states = new Map<string, HostComponent[]>();
  for (const each of components) {
    const key = `${each.serviceName}/${each.componentName}`;
    const known = states.get(key);
    if (known) known.push(each);
    else states.set(key, [each]);
  }
  const rows = cluster.services.flatMap((service) =>
    service.components.map(({ name, hostNames }) => {
      const all = states.get(`${service.name}/${name}`) ?? [];
      const stale = all.filter(({ restartRequired }) => restartRequired).length;
      return [
        service.name,
        name,
        progressPhrase(all),
        stale > 0 ? String(stale) : "",
        someNames(hostNames, limit),
      ];
    }),
  );
  const types = Object.entries(cluster.configurations).sort(([a], [b]) => (a < b ? -1 : 1));
  const head = `cluster ${cluster.name}, stack ${cluster.stack}, version ${cluster.version}, ${plural(hostsOf(cluster).size, "host")}\n`;
  const notes = [autoStartLine(cluster), ...cluster.services.map(maintenanceLine)].join("");
  const table = `${renderTable(["SERVICE", "COMPONENT", "STATE", "TO RESTART", "HOSTS"], rows)}${notes}`;
  if (!show.config) {
    const names = types.map(([type, { version }]) => `${type} v${version}`);
    return `${head}${table}configurations: ${names.join(", ") || "none"} (--config shows them)\n`;
  }
  const properties = types.flatMap(([type, configuration]) =>
    Object.entries(configuration.properties)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => [`${type} v${configuration.version}`, name, value]),
  );
  return `${head}${table}${renderTable(["CONFIGURATION", "PROPERTY", "VALUE"], properties)}`;
}

/** Only what the cluster says itself; its stack says the rest. */
function autoStartLine({ services }: Cluster): string {
  const said = services.flatMap(({ components }) =>
    components.flatMap(({ name, autoStart }) =>
      autoStart === undefined ? [] : `${name} ${autoStart ? "on" : "off"}`,
    ),
  );
  return said.length === 0 ? "" : `auto start: ${said.join(", ")}; else as the stack says\n`;
}

function maintenanceLine({ name, maintenance }: ClusterService): string {
  if (maintenance === undefined) return "";
  const why = maintenance.reason === "" ? "" : `: ${maintenance.reason}`;
  return `${name} is in maintenance since ${localTime(maintenance.since)}${why}\n`;
}

function hostsOf({ services }: Cluster): Set<string> {
  return new Set(services.flatMap((one) => one.components.flatMap(({ hostNames }) => hostNames)));
}

async function read(file: string): Promise<string> {
  try {
    if (file !== "-") return await readFile(file, "utf8");
    let content = "";
    for await (const chunk of process.stdin.setEncoding("utf8")) content += chunk;
    return content;
  } catch (error) {
    throw new CliError(`${file}: cannot be read: ${(error as Error).message}`);
  }
}
