import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { CliError } from "../cli-error.js";
import { ExitCode } from "../exit-code.js";
import { followAdHoc } from "../follow/follow-ad-hoc.js";
import { labelOption, type Run, sessionOf } from "../leaf-command.js";
import { requestCommand } from "../request-flags.js";
import { requestOptions } from "../request-options.js";
import { type Submission, submit } from "../submit.js";

/** `howdah run --hosts SELECTOR -- COMMAND…` */
export function addRun(program: CommandUnknownOpts, run: Run): void {
  requestCommand(program, "run", "run a command line on hosts, and print what it wrote")
    .description(
      "Run a command line on hosts, and print what it wrote as each host ends. One word with blanks or shell characters is run by /bin/sh -c. Without --on-failure a host that fails does not stop the others, without --timeout it may run for 15 minutes.",
    )
    .argument("<command...>", "the program and its arguments, after --")
    .option("--hosts <selector>", "names: web-*, db-[01-20], several with commas; '*' for all")
    .option("--label <key=value>", "only hosts with this label; may be given again", labelOption)
    .option("--key <key>", "a key of your own: the same key never runs twice")
    .option("--context <text>", "what it is about, for people")
    .option("-d, --detach", "do not wait for it")
    .option("--all", "print everything, however much")
    .passThroughOptions()
    .action(async (argv, options, command) => {
      const { hosts, label: labels = {}, timeout, key, context, ...how } = options;
      if (hosts === undefined && Object.keys(labels).length === 0) {
        throw new CliError(
          "say on which hosts: --hosts 'web-*', or --hosts '*' for all",
          ExitCode.usage,
        );
      }
      const session = sessionOf(run, command);
      const submission: Submission = {
        operation: {
          kind: {
            case: "adHoc",
            value: {
              argv,
              hosts: { names: hosts === undefined ? [] : [hosts], labels },
              ...(timeout === undefined ? {} : { timeout }),
            },
          },
        },
        options: requestOptions({ onFailure: "continue", ...how }),
        key,
        context,
      };
      if (run.take !== undefined) return run.take(submission);
      const request = await submit(session, submission);
      const { requestId } = request;
      if (!options.detach) {
        run.exitCode = await followAdHoc(session, requestId, options.all === true);
      } else if (session.json) {
        session.io.out(`${JSON.stringify({ requestId: String(requestId) })}\n`);
      } else
        session.io.out(`request ${requestId}; howdah request ${requestId} --watch follows it\n`);
    });
}
