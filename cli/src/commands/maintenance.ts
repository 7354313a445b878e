import { create } from "@bufbuild/protobuf";
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import {
  type InMaintenance,
  ListMaintenanceResponseSchema,
  SetMaintenanceResponseSchema,
} from "@howdah/proto/howdah/v1/fleet_service";
import { CliError } from "../cli-error.js";
import { ExitCode } from "../exit-code.js";
import { labelOption, leafCommand, listOption, type Run, sessionOf } from "../leaf-command.js";
import { listMaintenance } from "../list-maintenance.js";
import { jsonDocument } from "../text/json.js";
import { renderTable } from "../text/table.js";
import { localTime, plural } from "../text/words.js";

/** `howdah maintenance`, `howdah maintenance on|off` */
export function addMaintenance(program: CommandUnknownOpts, run: Run): void {
  const maintenance = leafCommand(
    program,
    "maintenance",
    "list what operations leave out for now: hosts, services, components",
  ).action(async (_options, command) => {
    const session = sessionOf(run, command);
    const entries = await listMaintenance(session);
    if (session.json) {
      const answer = create(ListMaintenanceResponseSchema, { entries });
      session.io.out(jsonDocument(ListMaintenanceResponseSchema, answer));
    } else session.io.out(maintenanceTable(entries));
  });
  addSwitch(maintenance, "on", "leave hosts, a service or components out of operations")
    .option("--reason <text>", "why, for those who meet it later")
    .action((options, command) => change(run, command, true, options));
  addSwitch(maintenance, "off", "let operations take them in again").action((options, command) =>
    change(run, command, false, options),
  );
}

function addSwitch(parent: CommandUnknownOpts, name: "on" | "off", summary: string) {
  return leafCommand(parent, name, summary)
    .option("--host <selector>", "these hosts: web-*, db-[01-20]; may be given again", listed)
    .option("--label <key=value>", "hosts with this label", labelOption)
    .option("--service <name>", "this service")
    .option("--component <names>", "these components, on the hosts named or on all", listOption)
    .option("--cluster <name>", "the cluster; not needed where there is one");
}

interface Flags {
  readonly host?: string[] | undefined;
  readonly label?: Record<string, string> | undefined;
  readonly service?: string | undefined;
  readonly component?: string[] | undefined;
  readonly cluster?: string | undefined;
  readonly reason?: string | undefined;
}

async function change(
  run: Run,
  command: CommandUnknownOpts,
  on: boolean,
  flags: Flags,
): Promise<void> {
  const { host: names = [], label: labels = {}, component: components = [] } = flags;
  const { service = "", cluster = "", reason = "" } = flags;
  const namesHosts = names.length > 0 || Object.keys(labels).length > 0;
  if (!namesHosts && service === "" && components.length === 0) {
    const text = "say what: --host, --service, or --component (with --host for some of its hosts)";
    throw new CliError(text, ExitCode.usage);
  }
  const session = sessionOf(run, command);
  const answer = await session.fleet.setMaintenance({
    ...{ hosts: { names, labels }, cluster, service, components, on, reason },
  });
  if (session.json) session.io.out(jsonDocument(SetMaintenanceResponseSchema, answer));
  else {
    const lines = answer.changes.map((line) => `${line}\n`).join("");
    session.io.out(lines || "nothing changed: it was so already\n");
  }
}

/** Collects patterns, which may have commas of their own. */
function listed(text: string, before: string[] = []): string[] {
  return [...before, text];
}

/** A table of what is in maintenance. */
export function maintenanceTable(entries: readonly InMaintenance[]): string {
  if (entries.length === 0) return "nothing is in maintenance\n";
  const rows = entries.map((entry) => {
    const { hostName, cluster, serviceName, componentName, maintenance } = entry;
    const what = componentName || serviceName || "host";
    return [what, hostName, cluster, localTime(maintenance?.since), maintenance?.reason ?? ""];
  });
  const table = renderTable(["WHAT", "HOST", "CLUSTER", "SINCE", "REASON"], rows);
  return `${table}${plural(entries.length, "entry", "entries")}\n`;
}
