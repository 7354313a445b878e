import type { History } from "./history.js";

/** A rule that a history breaks. */
export interface Violation {
  /** Which rule: an invariant of the design by its number, or another by a word. */
  readonly rule: string;
  /** What is wrong, in a line. */
  readonly what: string;
  /** Those whose events show it. */
  readonly taskIds?: readonly number[];
  readonly requestIds?: readonly number[];
}

/** A check: pure, looks at nothing but the history. */
export type Check = (history: History) => Violation[];

/** Groups things by a name. */
export function grouped<T>(things: readonly T[], nameOf: (thing: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const thing of things) {
    const name = nameOf(thing);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [thing]);
    else group.push(thing);
  }
  return groups;
}
