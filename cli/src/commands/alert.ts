import { readFileSync } from "node:fs";
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { AlertState } from "@howdah/proto/howdah/v1/alert";
import {
  type RunAlertResponse,
  RunAlertResponseSchema,
  UpdateAlertDefinitionResponseSchema,
} from "@howdah/proto/howdah/v1/alert_service";
import { parseDuration } from "@howdah/service/duration";
import { CliError, wrongUsage } from "../cli-error.js";
import { ExitCode } from "../exit-code.js";
import { badValue, readCount } from "../flag-values.js";
import { leafCommand, type Run, sessionOf } from "../leaf-command.js";
import { alertStates, alertWord, definitionPhrase } from "../text/alert-words.js";
import { jsonDocument, jsonLine } from "../text/json.js";
import { oneLine } from "../text/words.js";

const minuteMs = 60_000;
const mostMinutes = 525_600;

/** `howdah alert run NAME`, `howdah alert set NAME` */
export function addAlert(program: CommandUnknownOpts, run: Run): void {
  const alert = program
    .command("alert")
    .summary("run an alert now, or change how it is checked")
    .description("Run an alert now, or change how it is checked.");

  leafCommand(alert, "run", "run an alert now, on all hosts that watch it or on some")
    .argument("<name>", "the alert")
    .option("--hosts <selector>", "only on these: web-*, db-[01-20], several with commas", listed)
    .option("--cluster <name>", "the cluster; not needed where there is one")
    .addHelpText("after", "\nExits with 0 when every answer is OK or SKIPPED, else with 1.")
    .action(async (name, { hosts: hostNames = [], cluster = "" }, command) => {
      const { io, json, alertRuns } = sessionOf(run, command);
      const answers: RunAlertResponse[] = [];
      const call = alertRuns.runAlert({ cluster, name, hostNames }, { signal: io.interrupted });
      try {
        for await (const answer of call) {
          answers.push(answer);
          io.out(json ? jsonLine(RunAlertResponseSchema, answer) : answerLine(answer));
        }
      } catch (error) {
        if (!io.interrupted.aborted) throw error;
        io.err("howdah: interrupted; what agents have begun they end, and it counts\n");
        run.exitCode = ExitCode.interrupted;
        return;
      }
      if (!json) io.out(summaryLine(answers));
      if (answers.length === 0 || !answers.every(isWell)) run.exitCode = ExitCode.failed;
    });

  leafCommand(alert, "set", "change how an alert is checked; agents are told within seconds")
    .argument("<name>", "the alert")
    .option("--on", "check it")
    .option("--off", "do not check it, and forget its state")
    .option("--interval <duration>", "how often it is checked, in whole minutes, such as 5m")
    .option("--tolerance <count>", "HARD after so many checks in a row; 0: as the cluster says")
    .option("--source <file>", "Ambari's `source` of it, a JSON file, of the same type as before")
    .option("--cluster <name>", "the cluster; not needed where there is one")
    .action(async (name, options, command) => {
      const change = readChange(options);
      const { io, json, alerts } = sessionOf(run, command);
      const { cluster = "" } = options;
      const answer = await alerts.updateAlertDefinition({ cluster, name, ...change });
      if (json) io.out(jsonDocument(UpdateAlertDefinitionResponseSchema, answer));
      else if (answer.definition !== undefined) {
        io.out(`${definitionPhrase(answer.definition)}\n`);
      }
    });
}

/** Collects selectors, which may have commas of their own. */
function listed(text: string, before: string[] = []): string[] {
  return [...before, text];
}

interface Flags {
  readonly on?: true | undefined;
  readonly off?: true | undefined;
  readonly interval?: string | undefined;
  readonly tolerance?: string | undefined;
  readonly source?: string | undefined;
}

/** What is to change. Throws CliError for values that cannot be, and when nothing is. */
function readChange({ on, off, interval, tolerance, source }: Flags) {
  if (on && off) throw wrongUsage("--on and --off exclude each other");
  const change = {
    ...((on || off) && { enabled: on === true }),
    ...(interval !== undefined && { intervalMinutes: readInterval(interval) }),
    ...(tolerance !== undefined && {
      repeatTolerance: readCount("--tolerance", tolerance, 0, 100),
    }),
    ...(source !== undefined && { sourceJson: readSource(source) }),
  };
  if (Object.keys(change).length > 0) return change;
  throw wrongUsage("say what to change: --on, --off, --interval, --tolerance or --source");
}

function readInterval(text: string): number {
  const minutes = (parseDuration(text) ?? Number.NaN) / minuteMs;
  if (Number.isInteger(minutes) && minutes >= 1 && minutes <= mostMinutes) return minutes;
  throw badValue("--interval", text, "is no number of whole minutes, such as 1m, 5m or 1h");
}

function readSource(file: string): string {
  try {
    const text = readFileSync(file, "utf8");
    JSON.parse(text);
    return text;
  } catch (error) {
    throw new CliError(`--source: ${file}: ${(error as Error).message}`);
  }
}

function isWell({ state }: RunAlertResponse): boolean {
  return state === AlertState.OK || state === AlertState.SKIPPED;
}

function answerLine({ hostName, state, text }: RunAlertResponse): string {
  const word = state === AlertState.UNSPECIFIED ? "NO ANSWER" : alertWord(state);
  return [hostName, word, oneLine(text)]
    .filter((part) => part !== "")
    .join("  ")
    .concat("\n");
}

/** "2 CRITICAL, 1 OK, 1 without an answer". */
function summaryLine(answers: readonly RunAlertResponse[]): string {
  const count = (wanted: AlertState) => answers.filter(({ state }) => state === wanted).length;
  const parts = [...alertStates, AlertState.SKIPPED].map(
    (state) => [count(state), alertWord(state)] as const,
  );
  const told = [...parts, [count(AlertState.UNSPECIFIED), "without an answer"] as const]
    .filter(([number]) => number > 0)
    .map(([number, word]) => `${number} ${word}`);
  return `${told.join(", ") || "no answers"}\n`;
}
