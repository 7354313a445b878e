import { closeRules } from "./closure.js";
import type { Rules } from "./rules.js";

/**
 * Adds the rules of restarts: a role with a START rule and no RESTART rule restarts after the same roles have restarted.
 * A RESTART rule that is there, however short, is taken as complete.
 */
export function addRestartRules(rules: Rules): Rules {
  const added = new Map(rules);
  for (const [blocked, blockers] of rules) {
    const role = /^(.*)-START$/.exec(blocked)?.[1];
    if (role === undefined || rules.has(`${role}-RESTART`)) continue;
    added.set(
      `${role}-RESTART`,
      new Set([...blockers].map((blocker) => blocker.replace(/-[^-]*$/, "-RESTART"))),
    );
  }
  return added;
}

/**
 * The rules that planning goes by: closed, then completed with restarts. Those are copies of closed START rules and are
 * not closed again themselves, as in Ambari: full restarts of real stacks would be cyclic otherwise.
 */
export function effectiveRules(rules: Rules): Rules {
  return addRestartRules(closeRules(rules));
}
