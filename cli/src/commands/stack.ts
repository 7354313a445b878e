import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { type StackDefinition, StackDefinition_Category } from "@howdah/proto/howdah/v1/stack";
import {
  GetStackResponseSchema,
  ListStacksResponseSchema,
  PushStackResponseSchema,
  type StackSummary,
} from "@howdah/proto/howdah/v1/stack_service";
import { loadStack } from "@howdah/stack/load-stack";
import { packagePieces } from "@howdah/stack/package-pieces";
import { StackError } from "@howdah/stack/stack-error";
import { CliError } from "../cli-error.js";
import { leafCommand, listOption, type Run, sessionOf } from "../leaf-command.js";
import { jsonDocument } from "../text/json.js";
import { renderTable } from "../text/table.js";
import { localTime, plural, someNames } from "../text/words.js";

/** `howdah stack push|list|show` */
export function addStack(program: CommandUnknownOpts, run: Run): void {
  const stack = program
    .command("stack")
    .summary("say what can run: stacks in Ambari's format")
    .description("Say what can run: stack definitions in Ambari's format, with their scripts.");

  leafCommand(stack, "push", "read a stack and store it, with its scripts")
    .argument("<folder>", "the folder STACKS/NAME/VERSION")
    .option(
      "--extension <name/version>",
      "with the services of this extension too; those that link themselves come anyway",
      listOption,
    )
    .action(async (folder, { extension }, command) => {
      const session = sessionOf(run, command);
      const { definition, packages } = await load(folder, extension);
      const digests = packages.map(({ digest }) => digest);
      const { missing } = await session.stacks.findMissingPackages({ digests });
      for (const one of packages) {
        if (missing.includes(one.digest)) await session.stacks.putPackage(packagePieces(one));
      }
      const answer = await session.stacks.pushStack({ stack: definition });
      if (session.json) {
        session.io.out(jsonDocument(PushStackResponseSchema, answer));
        return;
      }
      const { name, version, services } = definition;
      const sent = `${plural(missing.length, "package")} sent, ${packages.length - missing.length} there already`;
      session.io.out(
        `${answer.replaced ? "replaced" : "pushed"} ${name}/${version}: ${plural(services.length, "service")}, ${sent}\n`,
      );
    });

  leafCommand(stack, "list", "list the stacks").action(async (_options, command) => {
    const session = sessionOf(run, command);
    const answer = await session.stacks.listStacks({});
    if (session.json) session.io.out(jsonDocument(ListStacksResponseSchema, answer));
    else session.io.out(stackTable(answer.stacks));
  });

  leafCommand(stack, "show", "show the services and components of a stack")
    .argument("<stack>", "NAME/VERSION, or NAME for the version pushed last")
    .action(async (text, _options, command) => {
      const session = sessionOf(run, command);
      const [name = "", version = ""] = text.split("/");
      const answer = await session.stacks.getStack({ name, version });
      if (session.json) session.io.out(jsonDocument(GetStackResponseSchema, answer));
      else if (answer.stack !== undefined) session.io.out(stackPage(answer.stack));
    });
}

/** A table of stacks. */
export function stackTable(stacks: readonly StackSummary[]): string {
  if (stacks.length === 0) return "no stacks\n";
  return renderTable(
    ["STACK", "SERVICES", "PUSHED", "DIGEST"],
    stacks.map(({ name, version, services, pushedAt, digest }) => [
      `${name}/${version}`,
      someNames(services, 6),
      localTime(pushedAt),
      digest.slice(0, 12),
    ]),
  );
}

/** A stack's services and components. */
export function stackPage(stack: StackDefinition): string {
  const rows = stack.services.flatMap((service) =>
    service.components.map((component) => [
      service.name,
      component.name,
      StackDefinition_Category[component.category] ?? "",
      component.cardinality,
      component.customCommands
        .filter(({ hidden }) => !hidden)
        .map(({ name }) => name)
        .join(", "),
    ]),
  );
  const head = ["SERVICE", "COMPONENT", "CATEGORY", "CARDINALITY", "CUSTOM COMMANDS"];
  const actions = stack.customActions.map(({ name }) => name).join(", ");
  const last = actions === "" ? "" : `custom actions: ${actions}\n`;
  return `stack ${stack.name}/${stack.version}\n${renderTable(head, rows)}${last}`;
}

async function load(folder: string, extensions: readonly string[] = []) {
  try {
    return await loadStack(folder, { extensions });
  } catch (error) {
    if (error instanceof StackError) throw new CliError(error.message);
    throw error;
  }
}
