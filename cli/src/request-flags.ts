import type { Duration } from "@bufbuild/protobuf/wkt";
import { type CommandUnknownOpts, Option } from "@commander-js/extra-typings";
import { durationOption, leafCommand, listOption } from "./leaf-command.js";
import type { RequestFlags } from "./request-options.js";

/** The flags of verbs that make a request; `requestOptions` reads them. */
export interface RequestCommandFlags extends RequestFlags {
  timeout?: Duration | undefined;
}

/** Adds a verb that makes a request, with the options that say how it runs. */
export function requestCommand(parent: CommandUnknownOpts, name: string, summary: string) {
  return leafCommand(parent, name, summary)
    .option("--timeout <duration>", "how long each command may run, such as 5m", durationOption)
    .optionsGroup("Failures:")
    .addOption(
      choice("--on-failure <policy>", "when a role has failed, the rest is", [
        "abort",
        "hold",
        "skip",
        "continue",
      ] as const),
    )
    .option(
      "--success-factor <role=share>",
      "how much of a role must succeed, such as DATANODE=0.8; may be given again",
      again,
    )
    .option("--retries <count>", "try what failed so many times more")
    .option("--retry-backoff <duration>", "the pause before that, doubling (default 1s)")
    .option(
      "--retry-on <ends>",
      "after which ends: failed,timeout (default), interrupted",
      listOption,
    )
    .addOption(
      choice(
        "--guarantee <guarantee>",
        "of a command that is cut off in the middle: never again, as --retry-on says (default), always again",
        ["at-most-once", "once", "at-least-once"] as const,
      ),
    )
    .optionsGroup("In portions:")
    .option("--batch <size>", "so many hosts of a stage at a time: 20 or 10%")
    .option("--canary <count>", "so many hosts of a stage first, alone")
    .option("--pause <duration>", "between batches")
    .option("--max-failures <budget>", "how many tasks may fail: 2 or 5%; unlimited when not said")
    .option("--max-batch-failures <count>", "how many tasks of a batch may fail")
    .addOption(
      choice("--on-exceeded <what>", "when more fail, the request is (default pause)", [
        "pause",
        "abort",
      ] as const),
    )
    .option("--max-in-flight <count>", "how many tasks may be under way at a time")
    .option("--dependency-ordered", "no stages: each task starts when what it depends on is done")
    .optionsGroup("Beside others:")
    .option("--parallel", "beside other requests, waiting for none")
    .option("--exclusive", "alone: older requests end first, newer ones wait")
    .addOption(
      choice(
        "--offline <policy>",
        "hosts that are away: leave them out (default), wait for them, or refuse",
        ["skip", "wait", "refuse"] as const,
      ),
    )
    .option("--window <name>", "only while this maintenance window is open")
    .option("--confirm <text>", "only once a person has read this and said so (howdah resolve)")
    .option("--offline-expiry <duration>", "with --offline wait: how long (default no end)")
    .optionsGroup("Options:");
}

function choice<const Choices extends readonly string[], Flags extends string>(
  flags: Flags,
  what: string,
  choices: Choices,
) {
  return new Option(flags, what).choices(choices);
}

/** Collects an option that may be given again. */
function again(text: string, before: string[] = []): string[] {
  return [...before, text];
}
