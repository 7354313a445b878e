import { orderingVerb } from "@howdah/scheduler/planner/plan-commands";
import type { ExpectedCommand, ExpectedError, GoldenCase } from "./golden-case.js";
import type { Outcome } from "./plan-case.js";

type Stages = readonly (readonly ExpectedCommand[])[];

/** Tells how an outcome differs from what a case expects: lines for people, none when it does not. */
export function differences(outcome: Outcome, expected: GoldenCase["expected"]): string[] {
  if (isError(expected)) {
    if ("stages" in outcome) {
      return [`- error ${describe(expected)}`, `+ a plan of ${outcome.stages.length} stages`];
    }
    const sameKind = outcome.kinds.includes(expected.kind);
    const { cycleRoles } = expected;
    const sameRoles =
      cycleRoles === undefined || outcome.cycleRoles.some((roles) => sameSet(roles, cycleRoles));
    if (sameKind && sameRoles) return [];
    return [`- error ${describe(expected)}`, `+ error ${outcome.kinds[0]}: ${outcome.message}`];
  }
  if (!("stages" in outcome)) {
    return [
      `- a plan of ${expected.length} stages`,
      `+ error ${outcome.kinds[0]}: ${outcome.message}`,
    ];
  }
  return stageDifferences(outcome.stages, expected);
}

/** True when two outcomes are the same plan, or errors of the same kind. */
export function sameOutcome(a: Outcome, b: Outcome): boolean {
  if ("stages" in a) return "stages" in b && stageDifferences(a.stages, b.stages).length === 0;
  return !("stages" in b) && a.kinds[0] === b.kinds[0];
}

/** A plan, a line for each command. */
export function planLines(stages: Stages): string[] {
  return stages.flatMap((stage, index) => [
    `stage ${index + 1}`,
    ...stage.map((command) => `  ${describeCommand(command, [...command.hosts].sort())}`),
  ]);
}

function isError(expected: GoldenCase["expected"]): expected is ExpectedError {
  return "kind" in expected;
}

function describe({ kind, cycleRoles }: ExpectedError): string {
  return cycleRoles ? `${kind} of ${cycleRoles.join(", ")}` : kind;
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  const [left, right] = [new Set(a), new Set(b)];
  return left.size === right.size && a.every((each) => right.has(each));
}

function stageDifferences(actual: Stages, expected: Stages): string[] {
  const lines: string[] = [];
  for (let index = 0; index < Math.max(actual.length, expected.length); index++) {
    const is = hostsByCommand(actual[index] ?? []);
    const should = hostsByCommand(expected[index] ?? []);
    const changes: string[] = [];
    for (const command of [...new Set([...should.keys(), ...is.keys()])].sort()) {
      const missing = [...(should.get(command) ?? [])].filter(
        (host) => !is.get(command)?.has(host),
      );
      const added = [...(is.get(command) ?? [])].filter((host) => !should.get(command)?.has(host));
      if (missing.length > 0) changes.push(`  - ${command} on ${missing.sort().join(", ")}`);
      if (added.length > 0) changes.push(`  + ${command} on ${added.sort().join(", ")}`);
    }
    if (changes.length > 0) lines.push(`stage ${index + 1}`, ...changes);
  }
  return lines;
}

/** The hosts of each command of a stage, so that neither the order nor the grouping of its lines matters. */
function hostsByCommand(stage: readonly ExpectedCommand[]): Map<string, Set<string>> {
  const hosts = new Map<string, Set<string>>();
  for (const command of stage) {
    const key = describeCommand(command);
    const known = hosts.get(key) ?? new Set();
    for (const host of command.hosts) known.add(host);
    hosts.set(key, known);
  }
  return hosts;
}

function describeCommand(command: ExpectedCommand, hosts: readonly string[] = []): string {
  const verb = orderingVerb(command.roleCommand, command.customCommand);
  const custom = verb === "CUSTOM_COMMAND" ? ` ${command.customCommand}` : "";
  return `${command.role} ${verb}${custom}${hosts.length > 0 ? ` on ${hosts.join(", ")}` : ""}`;
}
