import type { Rules } from "./rules.js";

/**
 * The rules with everything added that a pair waits for indirectly, so that two roles keep their order when one between
 * them is not part of the operation. In a circle of rules a pair ends up waiting for itself.
 */
export function closeRules(rules: Rules): Rules {
  const closed = new Map<string, ReadonlySet<string>>();
  for (const [blocked, direct] of rules) {
    const reached = new Set(direct);
    // A Set is iterated in the order of insertion, what is added on the way included.
    for (const blocker of reached) {
      for (const next of rules.get(blocker) ?? []) reached.add(next);
    }
    closed.set(blocked, reached);
  }
  return closed;
}
