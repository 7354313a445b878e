import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import type { Task } from "@howdah/proto/howdah/v1/request";
import {
  type ExplainTaskResponse,
  ExplainTaskResponseSchema,
  type LedgerEntry,
  type Wait,
} from "@howdah/proto/howdah/v1/request_service";
import { Status } from "@howdah/proto/howdah/v1/status";
import { taskLine } from "../follow/failed-tasks.js";
import { isEnded } from "../follow/progress-view.js";
import { idArgument, leafCommand, type Run, sessionOf } from "../leaf-command.js";
import { jsonDocument } from "../text/json.js";
import { renderTable } from "../text/table.js";
import { localTimeMs, spokenMs } from "../text/words.js";

/** `howdah why TASK` */
export function addWhy(program: CommandUnknownOpts, run: Run): void {
  leafCommand(program, "why", "tell what a task waits for, and where its time went")
    .argument("<task>", "the task", idArgument)
    .action(async (taskId, _options, command) => {
      const session = sessionOf(run, command);
      const answer = await session.requests.explainTask({ taskId });
      if (session.json) session.io.out(jsonDocument(ExplainTaskResponseSchema, answer));
      else session.io.out(whyPage(answer));
    });
}

/** What a task waits for and since when, and the moments of its current attempt. */
export function whyPage({ task, waits, ledger }: ExplainTaskResponse, nowMs = Date.now()): string {
  const head = task === undefined ? "" : `${taskLine(task)}\n`;
  const nothing = task !== undefined && isEnded(task.status) ? "" : "it waits for nothing\n";
  const reasons = waits.map((wait) => `${waitLine(wait, nowMs)}\n`).join("");
  const wayOut = task === undefined ? "" : wayOutOf(task, waits);
  return head + (reasons || nothing) + (wayOut && `${wayOut}\n`) + ledgerTable(ledger);
}

/** The command by which a person decides about a task; empty where it needs none. */
function wayOutOf({ taskId, requestId, hostName, status }: Task, waits: readonly Wait[]): string {
  const resolve = `howdah resolve ${requestId} ${taskId}`;
  switch (status) {
    case Status.HOLDING_FAILED:
    case Status.HOLDING_TIMEDOUT:
      return `${resolve} --retry runs it again, --skip goes on without, --abort gives up`;
    case Status.HOLDING:
      return `${resolve} --skip says that it is done, --abort gives up`;
    case Status.UNKNOWN:
      return `it may have run: look on ${hostName}; howdah retry ${requestId} --force runs it again once its request is over`;
    default:
      return waits.some(({ kind }) => kind === "PAUSE") ? `howdah resume ${requestId} goes on` : "";
  }
}

function waitLine({ kind, text, waitedMs }: Wait, nowMs: number): string {
  const waited = Number(waitedMs);
  const since = waited > 0 ? `, for ${spokenMs(waited)}, since ${localTimeMs(nowMs - waited)}` : "";
  return `waits: ${text || kind}${since}`;
}

/** The moments in the order in which they happened, each with its distance from the one before. */
function ledgerTable(ledger: readonly LedgerEntry[]): string {
  if (ledger.length === 0) return "";
  const rows = ledger.map(({ moment, atMs }, index) => {
    const before = ledger[index - 1];
    const ms = String(atMs % 1_000n).padStart(3, "0");
    return [
      moment,
      `${localTimeMs(Number(atMs))}.${ms}`,
      before === undefined ? "" : `${atMs - before.atMs} ms`,
      clockOf(moment),
    ];
  });
  return renderTable(["MOMENT", "AT", "AFTER", "CLOCK"], rows);
}

/** Two clocks may differ: the time between their moments is only as good as that. */
function clockOf(moment: string): string {
  return agentMoments.has(moment) ? "agent" : "server";
}

const agentMoments: ReadonlySet<string> = new Set(["DELIVERED", "STARTED", "ENDED"]);
