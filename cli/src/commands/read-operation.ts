import { Command } from "@commander-js/extra-typings";
import { CliError } from "../cli-error.js";
import { ExitCode } from "../exit-code.js";
import type { Run } from "../leaf-command.js";
import type { Session } from "../session.js";
import type { Submission } from "../submit.js";
import { addAction } from "./action.js";
import { addCommand } from "./command.js";
import { addOperate } from "./operate.js";
import { addRun } from "./run.js";

const verbs = ["install", "start", "stop", "restart", "check", "command", "action", "run"];

/**
 * Reads an operation as it stands on a command line, after `howdah`: what it would submit. Throws CliError, for wrong usage, for another
 * verb or options that only make sense when it runs at once; CommanderError, after saying what is wrong, as the verb itself would.
 */
export async function readOperation(
  run: Run,
  session: Session,
  words: readonly string[],
): Promise<Submission> {
  const [verb = ""] = words;
  if (!verbs.includes(verb)) {
    throw new CliError(
      `"${verb}" cannot be scheduled; after -- stands one of ${verbs.join(", ")}`,
      ExitCode.usage,
    );
  }
  let found: Submission | undefined;
  const { io } = run;
  const reading: Run = {
    io: { ...io, env: { ...io.env, HOWDAH_SERVER: session.server } },
    exitCode: ExitCode.ok,
    async take(submission) {
      found = submission;
    },
  };
  const program = new Command("howdah")
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .configureOutput({ writeOut: io.out, writeErr: io.err })
    .exitOverride();
  addOperate(program, reading);
  addCommand(program, reading);
  addAction(program, reading);
  addRun(program, reading);
  await program.parseAsync([...words], { from: "user" });
  if (found === undefined) throw new CliError(`${verb} asks for nothing`, ExitCode.usage);
  if (found.key !== undefined) {
    throw new CliError(
      "--key is for an operation that runs at once; a schedule has a key for each due time",
      ExitCode.usage,
    );
  }
  return found;
}
