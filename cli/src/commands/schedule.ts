import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type CommandUnknownOpts, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  MissedPolicy,
  OverlapPolicy,
  type Schedule,
  ScheduleOutcome,
  ScheduleSchema,
  type ScheduleSpecSchema,
} from "@howdah/proto/howdah/v1/schedule";
import {
  DeleteScheduleResponseSchema,
  GetScheduleResponseSchema,
  PutScheduleResponseSchema,
  SetScheduleEnabledResponseSchema,
} from "@howdah/proto/howdah/v1/schedule_service";
import { wrongUsage } from "../cli-error.js";
import { outcomeLine } from "../follow/progress-view.js";
import { durationOption, leafCommand, type Run, sessionOf } from "../leaf-command.js";
import type { Session } from "../session.js";
import { jsonDocument, jsonLine } from "../text/json.js";
import { operationWords } from "../text/operation-words.js";
import { optionWords } from "../text/option-words.js";
import { renderTable } from "../text/table.js";
import { localTime } from "../text/words.js";
import { readOperation } from "./read-operation.js";

/** `howdah schedules`, `howdah schedule add|show|pause|resume|delete NAME` */
export function addSchedule(program: CommandUnknownOpts, run: Run): void {
  leafCommand(program, "schedules", "list what runs at a time or again and again").action(
    async (_options, command) => {
      const session = sessionOf(run, command);
      const { schedules } = await session.schedules.listSchedules({});
      if (session.json) for (const one of schedules) session.io.out(jsonLine(ScheduleSchema, one));
      else session.io.out(scheduleTable(schedules));
    },
  );

  const schedule = program
    .command("schedule")
    .summary("run operations at a time, or again and again")
    .description("Run operations at a time, or again and again.");
  addAdd(schedule, run);

  leafCommand(schedule, "show", "show a schedule, and what became of its last due time")
    .argument("<name>", "the schedule")
    .action(async (name, _options, command) => {
      const session = sessionOf(run, command);
      const answer = await session.schedules.getSchedule({ name });
      if (session.json) session.io.out(jsonDocument(GetScheduleResponseSchema, answer));
      else if (answer.schedule !== undefined) {
        session.io.out(schedulePage(answer.schedule));
        session.io.out(await lastRequestLine(session, answer.schedule));
      }
    });

  for (const [verb, enabled, summary] of [
    ["pause", false, "run nothing until it is resumed; what is due meanwhile is not made up for"],
    ["resume", true, "go on with a paused schedule, from its next due time"],
  ] as const) {
    leafCommand(schedule, verb, summary)
      .argument("<name>", "the schedule")
      .action(async (name, _options, command) => {
        const session = sessionOf(run, command);
        const answer = await session.schedules.setScheduleEnabled({ name, enabled });
        if (session.json) session.io.out(jsonDocument(SetScheduleEnabledResponseSchema, answer));
        else session.io.out(`schedule ${name}: ${nextWords(answer.schedule)}\n`);
      });
  }

  leafCommand(schedule, "delete", "delete a schedule; the requests it made go on")
    .argument("<name>", "the schedule")
    .action(async (name, _options, command) => {
      const session = sessionOf(run, command);
      const answer = await session.schedules.deleteSchedule({ name });
      if (session.json) session.io.out(jsonDocument(DeleteScheduleResponseSchema, answer));
      else session.io.out(`schedule ${name} is deleted\n`);
    });
}

function addAdd(schedule: CommandUnknownOpts, run: Run): void {
  leafCommand(schedule, "add", "make a schedule, or change the one of that name")
    .description(
      "Make a schedule, or change the one of that name. What it runs stands after --, as it would after howdah: install, start, stop, restart, check, command or run, with its options.",
    )
    .argument("<name>", "its name")
    .argument("<operation...>", "what it runs, after --: restart HDFS --batch 10%")
    .option("--at <time>", "once, at this time: 2026-12-01T03:00+01:00", timeOption)
    .option("--cron <line>", "at the times of a cron line: '0 3 * * SUN', every Sunday at 3:00")
    .option("--zone <zone>", "the time zone of the cron line, such as Europe/Berlin (default UTC)")
    .addOption(
      new Option(
        "--missed <policy>",
        "when no scheduler led at the due time: skip it (default), or make up for all that were missed with one run",
      ).choices(["skip", "run-once"] as const),
    )
    .option(
      "--catch-up-within <duration>",
      "with --missed run-once: how late it may be (default no limit)",
      durationOption,
    )
    .addOption(
      new Option(
        "--overlap <policy>",
        "when the run before has not ended: skip it (default), or run all the same",
      ).choices(["skip", "run"] as const),
    )
    .action(async (name, words, flags, command) => {
      const { at, cron, zone: timeZone, missed, catchUpWithin, overlap } = flags;
      if ((at === undefined) === (cron === undefined)) {
        throw wrongUsage("say when it runs: either --at or --cron");
      }
      if (timeZone !== undefined && cron === undefined) {
        throw wrongUsage("--zone says nothing without --cron; --at has its offset in it");
      }
      if (catchUpWithin !== undefined && missed !== "run-once") {
        throw wrongUsage("--catch-up-within says nothing without --missed run-once");
      }
      const session = sessionOf(run, command);
      const { operation, options, context = "" } = await readOperation(run, session, words);
      const spec: MessageInitShape<typeof ScheduleSpecSchema> = {
        ...{ name, operation, options, context },
        ...(at !== undefined && { at: timestampFromMs(at) }),
        ...(cron !== undefined && { cron }),
        ...(timeZone !== undefined && { timeZone }),
        ...(missed === "run-once" && { missed: MissedPolicy.RUN_ONCE }),
        ...(catchUpWithin && { catchUpWithin }),
        ...(overlap === "run" && { overlap: OverlapPolicy.RUN }),
      };
      const answer = await session.schedules.putSchedule({ spec });
      if (session.json) session.io.out(jsonDocument(PutScheduleResponseSchema, answer));
      else {
        const what = answer.created ? "is made" : "is changed";
        session.io.out(`schedule ${name} ${what}: ${nextWords(answer.schedule)}\n`);
      }
    });
}

/** A table of schedules. */
export function scheduleTable(schedules: readonly Schedule[]): string {
  if (schedules.length === 0) return "no schedules\n";
  return renderTable(
    ["NAME", "WHEN", "NEXT", "LAST", "OUTCOME", "REQUEST", "WHAT"],
    schedules.map((one) => [
      one.spec?.name ?? "",
      whenWords(one),
      one.enabled ? localTime(one.nextDueAt) || "never" : "PAUSED",
      localTime(one.lastDueAt),
      one.lastOutcome === ScheduleOutcome.UNSPECIFIED
        ? ""
        : (ScheduleOutcome[one.lastOutcome] ?? ""),
      one.lastRequestId === 0n ? "" : String(one.lastRequestId),
      one.spec?.context || operationWords(one.spec?.operation),
    ]),
  );
}

/** All that is known of a schedule. */
export function schedulePage(schedule: Schedule): string {
  const { spec, lastDueAt, lastOutcome, lastOutcomeText } = schedule;
  const catchUp = spec?.catchUpWithin && `, up to ${spec.catchUpWithin.seconds} s late`;
  const isCaughtUp = spec?.missed === MissedPolicy.RUN_ONCE;
  const options = spec?.options === undefined ? "" : optionWords(spec.options);
  const lines = [
    `Schedule ${spec?.name}: ${operationWords(spec?.operation)}`,
    `runs ${whenWords(schedule)}; ${nextWords(schedule)}`,
    `what was missed is ${isCaughtUp ? `made up for by one run${catchUp ?? ""}` : "skipped"}; ` +
      `while the run before goes on ${spec?.overlap === OverlapPolicy.RUN ? "it runs all the same" : "it is skipped"}`,
    ...(options === "" ? [] : [`with ${options}`]),
    lastDueAt === undefined
      ? "it has not been due yet"
      : `last due ${localTime(lastDueAt)}: ${ScheduleOutcome[lastOutcome]}${lastOutcomeText && `, ${lastOutcomeText}`}`,
  ];
  return `${lines.join("\n")}\n`;
}

/** How the schedule's last request goes, or went. */
async function lastRequestLine(session: Session, { lastRequestId }: Schedule): Promise<string> {
  if (lastRequestId === 0n) return "";
  try {
    const { request } = await session.store.getRequest({ requestId: lastRequestId });
    return request === undefined ? "" : `${outcomeLine(request)}\n`;
  } catch (error) {
    if (ConnectError.from(error).code !== Code.NotFound) throw error;
    return `request ${lastRequestId} is not there any more\n`;
  }
}

function whenWords({ spec }: Schedule): string {
  if (spec?.at !== undefined) return `at ${localTime(spec.at)}`;
  return `${spec?.cron ?? ""} ${spec?.timeZone || "UTC"}`;
}

function nextWords(schedule: Schedule | undefined): string {
  if (schedule?.enabled === false) {
    return `it is paused; howdah schedule resume ${schedule.spec?.name} lets it go on`;
  }
  const next = localTime(schedule?.nextDueAt);
  return next === "" ? "it is not due any more" : `next ${next}`;
}

function timeOption(text: string): number {
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)$/.test(text);
  const ms = isTime ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) {
    throw new InvalidArgumentError(
      "Write it with its offset, as 2026-12-01T03:00+01:00 or 02:00Z.",
    );
  }
  return ms;
}
