import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { AlertDefinitionSchema, type AlertState } from "@howdah/proto/howdah/v1/alert";
import {
  type Alert,
  type AlertChange,
  AlertChangeSchema,
  type AlertCount,
  AlertCountSchema,
  AlertSchema,
} from "@howdah/proto/howdah/v1/alert_service";
import { CliError, wrongUsage } from "../cli-error.js";
import { badValue } from "../flag-values.js";
import { countOption, leafCommand, listOption, type Run, sessionOf } from "../leaf-command.js";
import type { Session } from "../session.js";
import {
  alertStates,
  alertTable,
  alertWord,
  countsLine,
  definitionTable,
  historyTable,
} from "../text/alert-words.js";
import { jsonLine } from "../text/json.js";
import { plural } from "../text/words.js";
import { refuseUnknownHosts, refuseUnknownParts } from "../unknown-names.js";

const pageSize = 1_000;

/** `howdah alerts` */
export function addAlerts(program: CommandUnknownOpts, run: Run): void {
  leafCommand(program, "alerts", "list alerts as they are now, what is worst first")
    .option("--cluster <name>", "the cluster; not needed where there is one")
    .option("--state <states>", "only these: critical, warning, unknown, ok", listOption)
    .option("--service <name>", "only of this service")
    .option("--host <name>", "only of this host")
    .option("--name <name>", "only this alert")
    .option("--history", "how states have changed, newest first, instead")
    .option("--definitions", "what is checked, and how often, instead")
    .option("--limit <count>", "how many at most", countOption, 50)
    .option("--all", "all of them, however many")
    .action(async (options, command) => {
      const session = sessionOf(run, command);
      const { cluster = "", service = "", host = "", name = "", history, definitions } = options;
      const which = { cluster, serviceName: service, hostName: host, name };
      const states = (options.state ?? []).map(stateOf);
      const limit = options.all || session.json ? Number.POSITIVE_INFINITY : options.limit;
      if (history && definitions)
        throw wrongUsage("--history and --definitions exclude each other");
      if (definitions) {
        refuse("--definitions", { "--state": states.length > 0, "--host": host !== "" });
        return showDefinitions(session, which);
      }
      if (history) {
        refuse("--history", { "--state": states.length > 0, "--service": service !== "" });
        return showHistory(session, which, limit);
      }
      return showAlerts(session, which, states, limit);
    });
}

/** Which alerts. */
interface Which {
  readonly cluster: string;
  readonly serviceName: string;
  readonly hostName: string;
  readonly name: string;
}

function stateOf(word: string): AlertState {
  const found = alertStates.find((state) => alertWord(state) === word.toUpperCase());
  if (found !== undefined) return found;
  throw badValue("--state", word, "is no state; it may be critical, warning, unknown or ok");
}

function refuse(mode: string, given: Readonly<Record<string, boolean>>): void {
  const [option] = Object.entries(given).find(([, isGiven]) => isGiven) ?? [];
  if (option !== undefined) throw wrongUsage(`${option} does not go with ${mode}`);
}

async function showAlerts(
  session: Session,
  which: Which,
  states: AlertState[],
  limit: number,
): Promise<void> {
  const { io, json } = session;
  const found: Alert[] = [];
  let counts: AlertCount[] | undefined;
  let shown = 0;
  let pageToken = "";
  do {
    const size = Math.max(1, Math.min(pageSize, limit - shown));
    const page = await session.alerts.listAlerts({ ...which, states, pageSize: size, pageToken });
    if (counts === undefined) {
      counts = page.counts;
      if (json) for (const each of counts) io.out(jsonLine(AlertCountSchema, each));
    }
    if (json) for (const each of page.alerts) io.out(jsonLine(AlertSchema, each));
    else found.push(...page.alerts);
    shown += page.alerts.length;
    pageToken = page.nextPageToken;
  } while (pageToken !== "" && shown < limit);
  const known = (counts ?? []).some((one) => one.count + one.inMaintenance > 0n);
  if (!known) await refuseUnknown(session, which);
  if (json) return;
  io.out(countsLine(counts ?? []));
  if (found.length > 0) io.out(alertTable(found));
  const all = matching(counts ?? [], states);
  if (pageToken === "" || all <= shown) return;
  io.out(
    `the first ${shown} of ${all} are shown: --all shows the others, --state, --service, --host and --name fewer\n`,
  );
}

/** How many alerts are in these states; in any, where none is named. */
function matching(counts: readonly AlertCount[], states: readonly AlertState[]): number {
  return counts
    .filter(({ state }) => states.length === 0 || states.includes(state))
    .reduce((sum, one) => sum + Number(one.count + one.inMaintenance), 0);
}

async function showHistory(session: Session, which: Which, limit: number): Promise<void> {
  const { io, json } = session;
  const { cluster, name, hostName } = which;
  const found: AlertChange[] = [];
  let shown = 0;
  let pageToken = "";
  do {
    const asked = { cluster, name, hostName, pageToken };
    const size = Math.max(1, Math.min(pageSize, limit - shown));
    const page = await session.alerts.listAlertHistory({ ...asked, pageSize: size });
    if (json) for (const each of page.changes) io.out(jsonLine(AlertChangeSchema, each));
    else found.push(...page.changes);
    shown += page.changes.length;
    pageToken = page.nextPageToken;
  } while (pageToken !== "" && shown < limit);
  if (shown === 0) await refuseUnknown(session, which);
  if (json) return;
  io.out(historyTable(found));
  if (pageToken !== "") {
    io.out(
      `the newest ${plural(shown, "is", "are")} shown: --all shows more, --name and --host fewer\n`,
    );
  }
}

async function showDefinitions(session: Session, which: Which): Promise<void> {
  const { cluster, serviceName, name } = which;
  const { definitions } = await session.alerts.listAlertDefinitions({ cluster, serviceName, name });
  if (definitions.length === 0) await refuseUnknown(session, which);
  if (session.json) {
    for (const each of definitions) session.io.out(jsonLine(AlertDefinitionSchema, each));
  } else session.io.out(definitionTable(definitions));
}

/** Refuses what is not there: nothing found for a misspelt name would read as all is well. */
async function refuseUnknown(session: Session, which: Which): Promise<void> {
  const { cluster, name, hostName, serviceName } = which;
  if (hostName !== "") await refuseUnknownHosts(session, hostName, []);
  if (serviceName !== "") {
    const asked = { service: [serviceName], component: [] };
    // The hosts' own alerts are of a service that no cluster has.
    if (serviceName !== "AMBARI") await refuseUnknownParts(session, cluster, asked);
  }
  if (name === "") return;
  const { definitions } = await session.alerts.listAlertDefinitions({ cluster, name });
  if (definitions.length > 0) return;
  throw new CliError(`there is no alert ${name}; howdah alerts --definitions lists them`);
}
