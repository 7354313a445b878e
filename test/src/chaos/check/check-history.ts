import { acknowledgedAfterCommit } from "./acknowledged-after-commit.js";
import { alertsAsFound } from "./alerts-as-found.js";
import { budgetStopsReleases } from "./budget-stops-releases.js";
import { countersEqualRows } from "./counters-equal-rows.js";
import { daemonsRun } from "./daemons-run.js";
import { everyRequestEnds } from "./every-request-ends.js";
import { exclusiveRunsAlone } from "./exclusive-runs-alone.js";
import { finalStaysFinal } from "./final-stays-final.js";
import type { History } from "./history.js";
import { maintenanceSparesHosts } from "./maintenance-spares-hosts.js";
import { oneAttemptAlive } from "./one-attempt-alive.js";
import { oneCommandAHost } from "./one-command-a-host.js";
import { oneRequestPerKey } from "./one-request-per-key.js";
import { oneRunADueTime } from "./one-run-a-due-time.js";
import { oneStartPerStep } from "./one-start-per-step.js";
import { outputComplete } from "./output-complete.js";
import { batchesPause, portionsHold } from "./portions-hold.js";
import { processesLast } from "./processes-last.js";
import { progressGrows } from "./progress-grows.js";
import { retriesAsAsked } from "./retries-as-asked.js";
import { stagesInOrder } from "./stages-in-order.js";
import { staleOwnersChangeNothing } from "./stale-owners-change-nothing.js";
import type { Check, Violation } from "./violation.js";
import { wipedHostsStartAnew } from "./wiped-hosts-start-anew.js";

/** The checks: the ten invariants of the design in their order, and what else a run must hold. */
export const checks: readonly Check[] = [
  oneRequestPerKey,
  oneStartPerStep,
  acknowledgedAfterCommit,
  finalStaysFinal,
  stagesInOrder,
  outputComplete,
  budgetStopsReleases,
  countersEqualRows,
  staleOwnersChangeNothing,
  oneAttemptAlive,
  everyRequestEnds,
  progressGrows,
  retriesAsAsked,
  oneCommandAHost,
  exclusiveRunsAlone,
  portionsHold,
  batchesPause,
  wipedHostsStartAnew,
  oneRunADueTime,
  maintenanceSparesHosts,
  daemonsRun,
  alertsAsFound,
  processesLast,
];

/** All that is wrong with a history. */
export function checkHistory(history: History): Violation[] {
  return checks.flatMap((check) => check(history));
}

/** How much the checks had to look at. */
export function evidenceOf(history: History): Readonly<Record<string, number>> {
  return {
    submissions: history.submissions.length,
    requests: history.requests.length,
    tasks: history.tasks.length,
    "script lines": history.scripts.length,
    "journal entries": history.journals.reduce((sum, { entries }) => sum + entries.length, 0),
    "interrupted attempts": history.journals
      .flatMap(({ entries }) => entries)
      .filter(({ result }) => result?.status === "INTERRUPTED").length,
    "further attempts": history.formerAttempts.length,
    "tasks that were UNKNOWN": new Set(
      history.sightings.flatMap(({ status, taskId }) => (status === "UNKNOWN" ? [taskId] : [])),
    ).size,
    "wiped journals": history.journals.filter(({ wipedAtMs }) => wipedAtMs !== undefined).length,
    "scheduled runs": history.requests.filter(({ key }) => key.startsWith("schedule/")).length,
    "times in maintenance": history.maintenance.length,
    "daemons started": history.daemons.reduce(
      (sum, { lines }) => sum + lines.filter(({ kind }) => kind === "start").length,
      0,
    ),
    "alerts answered": history.alerts.answers.filter(({ state }) => state !== undefined).length,
    "alerts changed": history.alerts.changes.length,
    "output chunks": history.output.reduce((sum, { chunks }) => sum + chunks.length, 0),
    sightings: history.sightings.length,
    "progress figures": history.progress.length,
    "owners seen": history.ownership.length,
    "stale writes tried": history.staleTries.length,
  };
}
