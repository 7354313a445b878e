import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import type { Request, Stage } from "@howdah/proto/howdah/v1/request";
import { CancelRequestResponseSchema } from "@howdah/proto/howdah/v1/request_service";
import {
  GetRequestResponseSchema,
  ListRequestsResponseSchema,
} from "@howdah/proto/howdah/v1/store_request_reading";
import { failedTasksReport } from "../follow/failed-tasks.js";
import { firstWaitLine } from "../follow/first-wait.js";
import { followRequest } from "../follow/follow-request.js";
import { wayOutLines } from "../follow/parked.js";
import { outcomeLine, stageTitle } from "../follow/progress-view.js";
import { countOption, idArgument, leafCommand, type Run, sessionOf } from "../leaf-command.js";
import { windowLine } from "../submit.js";
import { jsonDocument } from "../text/json.js";
import { renderTable } from "../text/table.js";
import {
  countsPhrase,
  cut,
  elapsed,
  endedCount,
  failedCount,
  localTime,
  localTimeMs,
  plural,
  statusWord,
} from "../text/words.js";

const shownStages = 30;
const shownSkipped = 5;

/** `howdah requests`, `howdah request ID`, `howdah cancel ID` */
export function addRequests(program: CommandUnknownOpts, run: Run): void {
  leafCommand(program, "requests", "list requests, the newest first")
    .option("--limit <count>", "how many at most, up to 1000", countOption, 20)
    .option("--unfinished", "only those that are not over")
    .action(async ({ limit, unfinished }, command) => {
      const session = sessionOf(run, command);
      const answer = await session.store.listRequests({
        pageSize: limit,
        unfinishedOnly: unfinished === true,
      });
      if (session.json) session.io.out(jsonDocument(ListRequestsResponseSchema, answer));
      else {
        const { isTerminal } = session.io;
        const width = isTerminal ? session.io.columns() : Number.POSITIVE_INFINITY;
        session.io.out(requestTable(answer.requests, width));
      }
    });

  leafCommand(program, "request", "show a request with its stages, or follow it")
    .argument("<id>", "the request", idArgument)
    .option("-w, --watch", "follow it until it is over; the exit code says how it ended")
    .option("--all", "show every stage, however many")
    .action(async (requestId, { watch, all }, command) => {
      const session = sessionOf(run, command);
      const answer = await session.store.getRequest({ requestId });
      if (watch) {
        run.exitCode = await followRequest(session, requestId);
      } else if (session.json) {
        session.io.out(jsonDocument(GetRequestResponseSchema, answer));
      } else if (answer.request !== undefined) {
        const { request, stages } = answer;
        // A server in the middle of its restart cannot say; the rest of the page is worth showing all the same.
        const waits = await firstWaitLine(session, request).catch(() => "");
        session.io.out(requestPage(request, stages, all === true, waits));
        session.io.out(await failedTasksReport(session, requestId));
      }
    });

  leafCommand(program, "cancel", "cancel a request; what runs is stopped by its agents")
    .argument("<id>", "the request", idArgument)
    .option("--reason <text>", "why, for those who look at it later")
    .action(async (requestId, { reason = "" }, command) => {
      const session = sessionOf(run, command);
      const answer = await session.requests.cancelRequest({ requestId, reason });
      if (session.json) session.io.out(jsonDocument(CancelRequestResponseSchema, answer));
      else if (answer.request !== undefined) {
        session.io.out(`cancel asked for; howdah request ${requestId} --watch follows it\n`);
        session.io.out(`${outcomeLine(answer.request)}\n`);
      }
    });
}

const headings = [
  ...["ID", "STATUS", "DONE", "TASKS", "FAILED", "CREATED", "TOOK", "CLUSTER", "CONTEXT"],
];
const leastContext = 20;

/** A table of requests. Contexts are cut so that a line has at most `width` characters, where that leaves something of them. */
export function requestTable(
  requests: readonly Request[],
  width = Number.POSITIVE_INFINITY,
): string {
  if (requests.length === 0) return "no requests\n";
  const rows = requests.map((request) => [
    String(request.requestId),
    request.paused ? "PAUSED" : statusWord(request.displayStatus),
    `${request.progressPercent} %`,
    `${endedCount(request.counts)}/${request.counts?.total ?? 0}`,
    String(failedCount(request.counts)),
    localTime(request.times?.createdAt),
    elapsed(request.times),
    request.cluster,
  ]);
  const [head = ""] = renderTable(
    headings,
    rows.map((row) => [...row, ""]),
  ).split("\n");
  const room = Math.max(leastContext, width - head.indexOf("CONTEXT"));
  return renderTable(
    headings,
    rows.map((row, at) => [...row, cut(requests[at]?.context ?? "", room)]),
  );
}

/** Which schedule made it, as its key tells; nothing of a request that a person made. */
function madeBy({ idempotencyKey }: Request): string[] {
  const [, scheduleId, dueMs] = /^schedule\/(\d+)\/(\d+)$/.exec(idempotencyKey) ?? [];
  return scheduleId === undefined
    ? []
    : [`made by schedule ${scheduleId}, due ${localTimeMs(Number(dueMs))}`];
}

/** A request with its stages, and what it waits for; of many stages only those that are under way or went wrong, unless all are asked for. */
export function requestPage(
  request: Request,
  stages: readonly Stage[],
  all: boolean,
  waits = "",
): string {
  const skipped = request.skippedHosts;
  const isOver = request.progressPercent === 100;
  const window = isOver ? "" : windowLine(request.options?.window).trimEnd();
  const lines = [
    outcomeLine(request),
    ...wayOutLines(request),
    ...[window, waits].filter((line) => line !== ""),
    `created ${localTime(request.times?.createdAt)}, ${request.progressPercent} % done` +
      `${request.cluster && `, cluster ${request.cluster}`}${request.run > 1 ? `, run ${request.run}` : ""}` +
      `${request.cancelRequested ? ", cancel asked for" : ""}`,
    ...madeBy(request),
    ...skipped
      .slice(0, all ? undefined : shownSkipped)
      .map(({ hostName, reason }) => `skipped ${hostName}: ${reason}`),
  ];
  if (!all && skipped.length > shownSkipped) {
    lines.push(`and ${plural(skipped.length - shownSkipped, "more skipped host")}: --all`);
  }
  const shown = all ? stages : stages.slice(0, shownStages);
  const left = stages.length - shown.length;
  const table = renderTable(
    ["STAGE", "WHAT", "STATUS", "TASKS", "TOOK"],
    shown.map((stage) => [
      String(stage.stageId + 1),
      stageTitle(stage),
      statusWord(stage.displayStatus),
      countsPhrase(stage.counts),
      elapsed(stage.times),
    ]),
  );
  const more = left > 0 ? `and ${plural(left, "more stage")}: --all\n` : "";
  return `${lines.join("\n")}\n${table}${more}`;
}
