import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import type { Request } from "@howdah/proto/howdah/v1/request";
import {
  PauseRequestResponseSchema,
  Resolution,
  ResolveTasksResponseSchema,
  ResumeRequestResponseSchema,
  RetryRequestResponseSchema,
} from "@howdah/proto/howdah/v1/request_service";
import { CliError } from "../cli-error.js";
import { ExitCode } from "../exit-code.js";
import { followUnlessDetached } from "../follow/follow-unless-detached.js";
import { parkedLines, parkedOf } from "../follow/parked.js";
import { outcomeLine } from "../follow/progress-view.js";
import { idArgument, labelOption, leafCommand, type Run, sessionOf } from "../leaf-command.js";
import type { Session } from "../session.js";
import { jsonDocument } from "../text/json.js";
import { plural } from "../text/words.js";

/** `howdah retry ID`, `howdah pause ID`, `howdah resume ID`, `howdah resolve ID` */
export function addSteer(program: CommandUnknownOpts, run: Run): void {
  addRetry(program, run);

  leafCommand(program, "pause", "release nothing more of a request; what runs goes on")
    .argument("<id>", "the request", idArgument)
    .action(async (requestId, _options, command) => {
      const session = sessionOf(run, command);
      const answer = await session.requests.pauseRequest({ requestId });
      tell(session, PauseRequestResponseSchema, answer, []);
    });

  leafCommand(program, "resume", "go on with a paused request, with a fresh failure budget")
    .argument("<id>", "the request", idArgument)
    .action(async (requestId, _options, command) => {
      const session = sessionOf(run, command);
      const answer = await session.requests.resumeRequest({ requestId });
      const waits = answer.request !== undefined && parkedOf(answer.request).length > 0;
      const news = waits
        ? `request ${requestId} is not paused`
        : `request ${requestId} goes on; howdah request ${requestId} --watch follows it`;
      tell(session, ResumeRequestResponseSchema, answer, [news]);
    });

  leafCommand(program, "resolve", "decide about tasks that wait for a person")
    .argument("<id>", "the request", idArgument)
    .argument("[tasks...]", "only these; default all of the request that wait", idsArgument)
    .option("--retry", "run them again, as a further attempt")
    .option(
      "--skip",
      "accept them: a manual step is done, a failure stays one, the request goes on",
    )
    .option("--abort", "give them up")
    .action(async (requestId, tasks, flags, command) => {
      const resolution = resolutionOf(flags);
      const session = sessionOf(run, command);
      const answer = await session.requests.resolveTasks({ requestId, taskIds: tasks, resolution });
      const resolved = `${plural(answer.resolved, "task")} resolved`;
      const news = `${resolved}; howdah request ${requestId} --watch follows what comes of it`;
      tell(session, ResolveTasksResponseSchema, answer, [news]);
    });
}

function addRetry(program: CommandUnknownOpts, run: Run): void {
  leafCommand(program, "retry", "run the failed tasks of a request again, and follow it")
    .description(
      "Run the failed tasks of a request again, in the same request, and follow it: those that failed, timed out, were aborted or passed over, from the earliest stage that has one. What was completed is not run again.",
    )
    .argument("<id>", "the request", idArgument)
    .option("--hosts <selector>", "only on these hosts: web-*, db-[01-20], several with commas")
    .option("--label <key=value>", "only on hosts with this label", labelOption)
    .option("--force", "also those of which nobody knows the outcome: they may have run")
    .option("-d, --detach", "do not follow it")
    .action(async (requestId, { hosts, label: labels = {}, force, detach }, command) => {
      const session = sessionOf(run, command);
      const answer = await session.requests.retryRequest({
        requestId,
        hosts: { names: hosts === undefined ? [] : [hosts], labels },
        force: force === true,
      });
      const { request } = answer;
      if (request === undefined) throw new Error("the server answered without a request");
      if (detach && session.json) {
        session.io.out(jsonDocument(RetryRequestResponseSchema, answer));
      } else run.exitCode = await followUnlessDetached(session, request, detach === true);
    });
}

/** Prints an answer: as JSON, or the news, how the request is now and what of it waits. */
function tell<T extends DescMessage>(
  session: Session,
  schema: T,
  answer: MessageShape<T> & { request?: Request | undefined },
  news: readonly string[],
): void {
  if (session.json) {
    session.io.out(jsonDocument(schema, answer));
    return;
  }
  const { request } = answer;
  const state = request === undefined ? [] : [outcomeLine(request), ...parkedLines(request)];
  for (const line of [...news, ...state]) session.io.out(`${line}\n`);
}

function resolutionOf(flags: { retry?: true; skip?: true; abort?: true }): Resolution {
  const said = [
    ...(flags.retry ? [Resolution.RETRY] : []),
    ...(flags.skip ? [Resolution.SKIP] : []),
    ...(flags.abort ? [Resolution.ABORT] : []),
  ];
  const [resolution] = said;
  if (resolution !== undefined && said.length === 1) return resolution;
  throw new CliError("say one of --retry, --skip and --abort", ExitCode.usage);
}

function idsArgument(text: string, before: bigint[] = []): bigint[] {
  return [...before, idArgument(text)];
}
