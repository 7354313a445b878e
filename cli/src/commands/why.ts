import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import {
  type ExplainTaskResponse,
  ExplainTaskResponseSchema,
  type LedgerEntry,
  type Wait,
} from "@howdah/proto/howdah/v1/request_service";
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
  return head + (reasons || nothing) + ledgerTable(ledger);
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
