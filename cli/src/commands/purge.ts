import { create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import { type CommandUnknownOpts, InvalidArgumentError } from "@commander-js/extra-typings";
import {
  type PurgeRequestsResponse,
  PurgeRequestsResponseSchema,
} from "@howdah/proto/howdah/v1/store_purge";
import { parseDuration } from "@howdah/service/duration";
import { CliError } from "../cli-error.js";
import { ExitCode } from "../exit-code.js";
import { leafCommand, type Run, sessionOf } from "../leaf-command.js";
import { spokenBytes } from "../text/bytes.js";
import { jsonLine } from "../text/json.js";
import { localTime, plural } from "../text/words.js";

/** `howdah purge --older-than AGE` */
export function addPurge(program: CommandUnknownOpts, run: Run): void {
  leafCommand(program, "purge", "delete requests that ended long ago, with their tasks and output")
    .requiredOption(
      "--older-than <age>",
      "how long ago they ended, such as 90d; 1h at least",
      ageOption,
    )
    .option("--dry-run", "only say what would be deleted")
    .action(async ({ olderThan, dryRun = false }, command) => {
      const { io, json, store } = sessionOf(run, command);
      const answers = store.purgeRequests({ olderThan, dryRun }, { signal: io.interrupted });
      let last: PurgeRequestsResponse | undefined;
      try {
        for await (const answer of answers) {
          last = answer;
          if (json) io.out(jsonLine(PurgeRequestsResponseSchema, answer));
          else if (!answer.done && io.isTerminal) io.err(`${summary(answer)} so far\n`);
        }
      } catch (error) {
        if (!io.interrupted.aborted) throw error;
        if (last !== undefined && !json) io.out(`${summary(last)}, then interrupted\n`);
        io.err("howdah: stopped; the same command goes on\n");
        run.exitCode = ExitCode.interrupted;
        return;
      }
      if (last?.done !== true) {
        throw new CliError("the server ended before it was done; try again", ExitCode.unavailable);
      }
      if (json) return;
      const before = `of before ${localTime(last.endedBefore)}`;
      io.out(
        dryRun ? `would delete ${counted(last)}, ${before}\n` : `${summary(last)}, ${before}\n`,
      );
    });
}

function summary(answer: PurgeRequestsResponse): string {
  return `deleted ${counted(answer)}`;
}

function counted(answer: PurgeRequestsResponse): string {
  const { requests, tasks, outputBytes, packages, packageBytes, alertChanges } = answer;
  const output = outputBytes > 0n ? ` and ${spokenBytes(outputBytes)} of output` : "";
  const rest =
    packages > 0n
      ? `, ${plural(packages, "package or document", "packages and documents")} of ${spokenBytes(packageBytes)}`
      : "";
  const changes = alertChanges > 0n ? `, ${plural(alertChanges, "change")} of alerts` : "";
  return `${plural(requests, "request")} with ${plural(tasks, "task")}${output}${rest}${changes}`;
}

/** Reads "90d". An hour is the least the server takes; longer ago than 1970 nothing ended. */
function ageOption(text: string): Duration {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError("Write it as 90d, 36h or 12.5h.");
  if (ms < 3_600_000) throw new InvalidArgumentError("It must be 1h at least.");
  if (ms > Date.now()) throw new InvalidArgumentError("That is longer ago than 1970.");
  return create(DurationSchema, { seconds: BigInt(Math.floor(ms / 1000)) });
}
