import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import {
  ComponentState,
  type HostComponent,
  HostComponentSchema,
  type Maintenance,
} from "@howdah/proto/howdah/v1/fleet";
import type { InMaintenance } from "@howdah/proto/howdah/v1/fleet_service";
import {
  countOption,
  labelOption,
  leafCommand,
  listOption,
  type Run,
  sessionOf,
} from "../leaf-command.js";
import { listComponents } from "../list-components.js";
import { listMaintenance } from "../list-maintenance.js";
import { jsonLine } from "../text/json.js";
import { renderTable } from "../text/table.js";
import { localTime, plural } from "../text/words.js";
import { refuseUnknownHosts, refuseUnknownParts } from "../unknown-names.js";

/** `howdah components [CLUSTER]` */
export function addComponents(program: CommandUnknownOpts, run: Run): void {
  leafCommand(program, "components", "list components on hosts: their states, who needs a restart")
    .argument("[cluster]", "the cluster; not needed where there is one")
    .option("--service <names>", "only of these services", listOption)
    .option("--component <names>", "only these components", listOption)
    .option("--host <selector>", "only on these hosts: web-*, db-[01-20], several with commas")
    .option("--label <key=value>", "only on hosts with this label", labelOption)
    .option("--restart-required", "only those whose configurations changed since they were started")
    .option("--limit <count>", "how many at most", countOption, 50)
    .option("--all", "all of them, however many")
    .action(async (cluster = "", options, command) => {
      const session = sessionOf(run, command);
      const limit = options.all || session.json ? Number.POSITIVE_INFINITY : options.limit;
      const { service = [], component = [], host, label: labels = {} } = options;
      const which = {
        ...{ cluster, services: service, components: component },
        hosts: { names: host === undefined ? [] : [host], labels },
        restartRequiredOnly: options.restartRequired === true,
      };
      const found = await listComponents(session, which, limit + 1);
      const isFound =
        service.every((name) => found.some(({ serviceName }) => serviceName === name)) &&
        component.every((name) => found.some(({ componentName }) => componentName === name));
      if (!isFound) await refuseUnknownParts(session, cluster, { service, component });
      if (host !== undefined) {
        const names = found.map(({ hostName }) => hostName);
        await refuseUnknownHosts(session, host, names);
      }
      if (session.json) {
        for (const each of found) session.io.out(jsonLine(HostComponentSchema, each));
        return;
      }
      const entries = await listMaintenance(session);
      session.io.out(
        componentTable(found.slice(0, limit), { entries, isPart: found.length > limit }),
      );
    });
}

/** The name of a component's state, as the protos have it. */
export function componentWord(state: ComponentState): string {
  return ComponentState[state] ?? String(state);
}

/** How many of each state: "3 STARTED, 1 INSTALLED". */
function statesPhrase(components: readonly HostComponent[]): string {
  const counts = new Map<ComponentState, number>();
  for (const { currentState } of components) {
    counts.set(currentState, (counts.get(currentState) ?? 0) + 1);
  }
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([state, count]) => `${count} ${componentWord(state)}`)
    .join(", ");
}

/** "3/4 STARTED" for all of one component; clients shall be INSTALLED. */
export function progressPhrase(components: readonly HostComponent[]): string {
  const wanted = components.every(({ client }) => client)
    ? ComponentState.INSTALLED
    : ComponentState.STARTED;
  const count = components.filter(({ currentState }) => currentState === wanted).length;
  return `${count}/${components.length} ${componentWord(wanted)}`;
}

/**
 * A table of components on hosts, and what they come to.
 * @param entries what is in maintenance, of which hosts and services concern their components too
 * @param isPart whether there are more than these
 */
export function componentTable(
  components: readonly HostComponent[],
  { entries = [], isPart = false }: { entries?: readonly InMaintenance[]; isPart?: boolean } = {},
): string {
  const maintenanceOf = maintenanceNotes(entries);
  if (components.length === 0) return "no components\n";
  const rows = components.map((each) => [
    each.serviceName,
    each.componentName,
    each.hostName,
    componentWord(each.currentState),
    componentWord(each.desiredState),
    localTime(each.changedAt),
    [
      ...(each.restartRequired ? [`restart: ${each.changedTypes.join(", ")} changed`] : []),
      ...(each.autoStart ? ["auto start"] : []),
      ...maintenanceOf(each),
    ].join("; "),
  ]);
  const stale = components.filter(({ restartRequired }) => restartRequired).length;
  const restart = stale > 0 ? `; ${plural(stale, "requires", "require")} a restart` : "";
  const count = plural(components.length, "component");
  const states = `${isPart ? "the first " : ""}${count}: ${statesPhrase(components)}${restart}\n`;
  const more = "there are more: --all, --service, --host; howdah cluster show counts them all\n";
  const summary = isPart ? states + more : states;
  const head = ["SERVICE", "COMPONENT", "HOST", "STATE", "WANTED", "SINCE", "NOTE"];
  return renderTable(head, rows) + summary;
}

/** What leaves a component out of operations: that it is in maintenance, or its service, or its host. */
function maintenanceNotes(entries: readonly InMaintenance[]): (each: HostComponent) => string[] {
  const of = (key: (entry: InMaintenance) => string | undefined) =>
    new Map(entries.flatMap((entry) => [[key(entry) ?? "", entry.maintenance] as const]));
  const hosts = of(({ serviceName, componentName, hostName }) =>
    serviceName === "" && componentName === "" ? hostName : undefined,
  );
  const services = of(({ cluster, serviceName, componentName }) =>
    componentName === "" && serviceName !== "" ? `${cluster}/${serviceName}` : undefined,
  );
  const told = (name: string, maintenance: Maintenance | undefined) => {
    if (maintenance === undefined) return [];
    return [maintenance.reason === "" ? name : `${name}: ${maintenance.reason}`];
  };
  return ({ maintenance, cluster, serviceName, hostName }) => [
    ...told("maintenance", maintenance),
    ...told("maintenance of its service", services.get(`${cluster}/${serviceName}`)),
    ...told("maintenance of its host", hosts.get(hostName)),
  ];
}
