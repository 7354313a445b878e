import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { CliError } from "../cli-error.js";
import { ExitCode } from "../exit-code.js";
import { followUnlessDetached } from "../follow/follow-unless-detached.js";
import { labelOption, paramOption, type Run, sessionOf } from "../leaf-command.js";
import { requestCommand } from "../request-flags.js";
import { requestOptions } from "../request-options.js";
import { submit } from "../submit.js";

/** `howdah action NAME --hosts SELECTOR` */
export function addAction(program: CommandUnknownOpts, run: Run): void {
  requestCommand(program, "action", "run a custom action of a stack on hosts, and follow it")
    .description(
      "Run a custom action: a script of the folder custom_actions of a stack. Without --cluster it may run on any host and finds no configurations; with --cluster on all of its hosts, unless others are named.",
    )
    .argument("<name>", "the action's name, such as check_host")
    .option(
      "--param <key=value>",
      "what its script finds in commandParams; may be given again",
      paramOption,
    )
    .option("--hosts <selector>", "names: web-*, db-[01-20], several with commas; '*' for all")
    .option("--label <key=value>", "only hosts with this label; may be given again", labelOption)
    .option("--cluster <name>", "the cluster whose stack has it and whose configurations it finds")
    .option("--service <name>", "the service it is about, with --cluster")
    .option("--component <name>", "only where this component is, with --cluster")
    .option("--stack <name/version>", "without --cluster: the stack that has it")
    .option("--key <key>", "a key of your own: the same key never runs twice")
    .option("--context <text>", "what it is about, for people")
    .option("-d, --detach", "do not follow it")
    .action(async (name, options, command) => {
      const { hosts, label: labels = {}, param: parameters = {}, key, context } = options;
      const { cluster = "", service = "", component = "", stack = "", detach = false } = options;
      if (cluster === "" && hosts === undefined && Object.keys(labels).length === 0) {
        throw new CliError(
          "say on which hosts: --hosts 'web-*', --hosts '*' for all, or --cluster NAME",
          ExitCode.usage,
        );
      }
      const how = requestOptions(options);
      const session = sessionOf(run, command);
      const selector = { names: hosts === undefined ? [] : [hosts], labels };
      const value = {
        ...{ name, hosts: selector, parameters, cluster, service, component, stack },
      };
      const operation = { kind: { case: "customAction" as const, value } };
      const submission = { operation, options: how, key, context };
      if (run.take !== undefined) return run.take(submission);
      const request = await submit(session, submission);
      run.exitCode = await followUnlessDetached(session, request, detach);
    });
}
