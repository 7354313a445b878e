import { type Check, grouped } from "./violation.js";

/**
 * Invariant 9: a stale owner (scheduler token, session epoch) can change nothing.
 *
 * Sees: a write with an old token or epoch, tried on purpose during the run, that was taken; an owner that was seen to go back.
 * Cannot see: a write of a stale process that changed a row back to what it was.
 */
export const staleOwnersChangeNothing: Check = ({ staleTries, ownership }) => {
  const rule = "9 a stale owner changes nothing";
  const taken = staleTries
    .filter(({ outcome }) => outcome === "accepted")
    .map(({ what, detail, taskId }) => ({ rule, what: `${what}: ${detail}`, taskIds: [taskId] }));
  const wentBack = [...grouped(ownership, ({ what }) => what)].flatMap(([name, seen]) => {
    const inOrder = seen.toSorted((a, b) => a.atMs - b.atMs);
    return inOrder.flatMap(({ owner, atMs }, i) => {
      const before = inOrder[i - 1]?.owner ?? 0;
      if (owner >= before) return [];
      return [
        { rule, what: `${name} went from owner ${before} to ${owner} at ${Math.round(atMs)}` },
      ];
    });
  });
  return [...taken, ...wentBack];
};
