import { join } from "node:path";
import { effectiveRules } from "@howdah/scheduler/planner/restart-rules";
import type { Rules } from "@howdah/scheduler/planner/rules";
import { differences, planLines, sameOutcome } from "./compare.js";
import {
  type GoldenCase,
  type GoldenRules,
  MalformedCaseError,
  readCase,
  readRules,
} from "./golden-case.js";
import { type Outcome, planFromFiles, planFromRules, stackFolder } from "./plan-case.js";

/** What a case came to. */
export interface CaseResult {
  readonly name: string;
  readonly verdict: "equal" | "quirk" | "DIFFERENT";
  /** How it was planned: from files, from rules or both. */
  readonly sources: readonly string[];
  /** For people: what differs, or both plans of a quirk that differ. */
  readonly details: readonly string[];
}

/** Defects of Ambari that we mend: a case with one of them may differ. */
const mendedQuirks = new Set([
  "one_node_per_role",
  "override_clears_per_blocker",
  "override_order_inside_section",
]);

/**
 * Runs one case.
 * @param file the folder and name of the case without `.json`
 * @param stacks the folder that may hold NAME/VERSION of its stack
 * @throws MalformedCaseError
 */
export async function runCase(folder: string, name: string, stacks: string): Promise<CaseResult> {
  const golden = await readCase(join(folder, `${name}.json`), name);
  const rules = await readRules(join(folder, `${name}.rules.json`));
  const outcomes = await planAllWays(golden, rules, stacks);
  if (outcomes.size === 0) {
    throw new MalformedCaseError(
      join(folder, `${name}.json`),
      `stack ${golden.stack.name}/${golden.stack.version} is not below ${stacks}, ` +
        `and ${name}.rules.json has no merged_rules`,
    );
  }
  const sources = [...outcomes.keys()];
  const isQuirk = golden.quirk !== undefined && mendedQuirks.has(golden.quirk);
  const expected = (isQuirk ? golden.fixed : undefined) ?? golden.expected;
  const details = [...outcomes].flatMap(([source, outcome]) => {
    const lines = differences(outcome, expected);
    if (lines.length === 0) return [];
    return [
      `planned from ${source}; expected -, planned +`,
      ...lines,
      ...(isQuirk ? bothPlans(outcome, golden) : ruleDifferences(outcome, golden, rules)),
    ];
  });
  const [first, second] = [...outcomes.values()];
  if (first && second && !sameOutcome(first, second)) {
    details.push("the plans from files and from rules differ from each other");
  }
  if (isQuirk) return { name: golden.name, verdict: "quirk", sources, details };
  const verdict = details.length === 0 ? "equal" : "DIFFERENT";
  return { name: golden.name, verdict, sources, details };
}

async function planAllWays(
  golden: GoldenCase,
  rules: GoldenRules | undefined,
  stacks: string,
): Promise<Map<string, Outcome>> {
  const outcomes = new Map<string, Outcome>();
  const folder = await stackFolder(golden, stacks);
  // An inline stack may bear the name of one that lies there; its own rules say what it is.
  if (folder !== undefined && !(golden.stack.inline && rules?.merged)) {
    outcomes.set("files", await planFromFiles(golden, folder));
  }
  if (rules?.merged) outcomes.set("rules", await planFromRules(golden, rules.merged));
  return outcomes;
}

function bothPlans(outcome: Outcome, golden: GoldenCase): string[] {
  const ambari =
    "kind" in golden.expected ? [`error ${golden.expected.kind}`] : planLines(golden.expected);
  const ours = "stages" in outcome ? planLines(outcome.stages) : [`error ${outcome.message}`];
  return ["Ambari's plan", ...ambari.map(indent), "our plan", ...ours.map(indent)];
}

/** Where the rules of the roles in question went astray: as the case has them, and as we made them. */
function ruleDifferences(
  outcome: Outcome,
  golden: GoldenCase,
  rules: GoldenRules | undefined,
): string[] {
  if (!rules?.effective || !("stages" in outcome)) return [];
  const ours = effectiveRules(outcome.rules);
  const roles = new Set(golden.commands.map((command) => command.role));
  const theirs = rules.effective;
  const list = (from: Rules, blocked: string) => [...(from.get(blocked) ?? [])].sort().join(", ");
  return [...new Set([...theirs.keys(), ...ours.keys()])]
    .filter((blocked) => roles.has(blocked.replace(/-[^-]*$/, "")))
    .sort()
    .flatMap((blocked) => {
      const [is, should] = [list(ours, blocked), list(theirs, blocked)];
      return is === should ? [] : [`rule ${blocked}`, `  - ${should}`, `  + ${is}`];
    });
}

function indent(line: string): string {
  return `  ${line}`;
}
