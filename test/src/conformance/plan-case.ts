import { stat } from "node:fs/promises";
import { join } from "node:path";
import { CycleError } from "@howdah/scheduler/planner/cycle";
import {
  DuplicateCommandError,
  planCommands,
  type StageCommand,
} from "@howdah/scheduler/planner/plan-commands";
import { collectRules, type Rules } from "@howdah/scheduler/planner/rules";
import { loadStack } from "@howdah/stack/load-stack";
import { InheritanceCycleError, StackError } from "@howdah/stack/stack-error";
import type { GoldenCase } from "./golden-case.js";

/** What planning a case came to: stages, or an error of a kind. */
export type Outcome =
  | { readonly stages: readonly (readonly StageCommand[])[]; readonly rules: Rules }
  | {
      /** The kinds of expected error that it answers to. */
      readonly kinds: readonly string[];
      /** The sets of roles by which the error may be known; empty for errors that are not about a circle of roles. */
      readonly cycleRoles: readonly (readonly string[])[];
      readonly message: string;
    };

/** The folder of a case's stack, if the stack is to be read from files. */
export async function stackFolder(
  { stack }: GoldenCase,
  stacks: string,
): Promise<string | undefined> {
  const folder = join(stacks, stack.name, stack.version);
  const found = await stat(folder).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
  return found ? folder : undefined;
}

/** Plans a case by the rules in its stack's files. */
export async function planFromFiles(golden: GoldenCase, folder: string): Promise<Outcome> {
  return outcomeOf(async () => {
    const { definition } = await loadStack(folder, { packages: false });
    return plan(golden, collectRules(definition.roleCommandOrder, golden.conditions));
  });
}

/** Plans a case by rules that are merged already. */
export async function planFromRules(golden: GoldenCase, rules: Rules): Promise<Outcome> {
  return outcomeOf(async () => plan(golden, rules));
}

function plan(golden: GoldenCase, rules: Rules): Outcome {
  return { stages: planCommands(golden.commands, rules), rules };
}

async function outcomeOf(work: () => Promise<Outcome>): Promise<Outcome> {
  try {
    return await work();
  } catch (reason) {
    if (reason instanceof CycleError) {
      const rolesOf = (nodes: readonly { role: string }[]) => nodes.map(({ role }) => role);
      return {
        kinds: ["circular_dependency", "non_termination"],
        cycleRoles: [
          ...reason.cycles.flatMap(({ members, path }) => [rolesOf(members), rolesOf(path)]),
          reason.cycles.flatMap(({ members }) => rolesOf(members)),
        ],
        message: reason.message,
      };
    }
    const kind =
      reason instanceof InheritanceCycleError
        ? "stack_inheritance_cycle"
        : reason instanceof DuplicateCommandError
          ? "duplicate_host_role"
          : reason instanceof StackError
            ? "stack_unreadable"
            : undefined;
    if (kind === undefined) throw reason;
    return { kinds: [kind], cycleRoles: [], message: (reason as Error).message };
  }
}
