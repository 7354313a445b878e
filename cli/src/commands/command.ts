import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { followUnlessDetached } from "../follow/follow-unless-detached.js";
import { labelOption, paramOption, type Run, sessionOf } from "../leaf-command.js";
import { requestCommand } from "../request-flags.js";
import { requestOptions } from "../request-options.js";
import { submit } from "../submit.js";
import { onlyCluster } from "./operate.js";

/** `howdah command COMPONENT NAME` */
export function addCommand(program: CommandUnknownOpts, run: Run): void {
  requestCommand(program, "command", "run a custom command of a component, and follow it")
    .argument("<component>", "the component, such as NAMENODE")
    .argument("<name>", "the command's name, such as REBALANCEHDFS")
    .option(
      "--param <key=value>",
      "what its script finds in commandParams; may be given again",
      paramOption,
    )
    .option("--cluster <name>", "the cluster; not needed where there is one")
    .option("--service <name>", "the service, where several have such a component")
    .option("--hosts <selector>", "only on these hosts: web-*, db-[01-20], several with commas")
    .option("--label <key=value>", "only on hosts with this label", labelOption)
    .option("--key <key>", "a key of your own: the same key never runs twice")
    .option("--context <text>", "what it is about, for people")
    .option("-d, --detach", "do not follow it")
    .action(async (component, name, options, command) => {
      const { hosts, label: labels = {}, param: parameters = {}, service = "" } = options;
      const { key, context, detach = false } = options;
      const how = requestOptions(options);
      const session = sessionOf(run, command);
      const cluster = options.cluster ?? (await onlyCluster(session));
      const selector = { names: hosts === undefined ? [] : [hosts], labels };
      const value = { cluster, service, component, command: name, hosts: selector, parameters };
      const operation = { kind: { case: "customCommand" as const, value } };
      const submission = { operation, options: how, key, context };
      if (run.take !== undefined) return run.take(submission);
      const request = await submit(session, submission);
      run.exitCode = await followUnlessDetached(session, request, detach);
    });
}
