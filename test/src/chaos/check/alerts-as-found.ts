import { type Check, grouped } from "./violation.js";

const rule = "alerts are stored as hosts find them";

/** States that leave no trace where nothing was known before: nothing was found out. */
const traceless = new Set(["SKIPPED", "UNKNOWN"]);

/**
 * What a host finds is stored before whoever asked is told, and the newest word counts.
 *
 * Sees: a host that, all being healed, gives no answer or finds another state than the store has afterwards; a state that somebody was told
 * and that was never stored; two changes in a row to the same state; a newest change to another state than the alert has. Cannot see: a
 * check of the schedule that was lost between two that found the same.
 */
export const alertsAsFound: Check = ({ alerts: { answers, last, current, changes } }) => {
  const keyOf = ({ name, host }: { readonly name: string; readonly host: string }) =>
    `${name} on ${host}`;
  const found: string[] = [];
  const states = new Map(current.map((one) => [keyOf(one), one.state]));
  for (const answer of last) {
    const key = keyOf(answer);
    const stored = states.get(key);
    if (answer.state === undefined) found.push(`${key} has no answer: ${answer.text}`);
    else if (answer.state !== stored) {
      found.push(`${key} was found to be ${answer.state} and is stored as ${stored ?? "nothing"}`);
    }
  }
  const changesOf = grouped(changes, keyOf);
  for (const answer of answers) {
    const { state } = answer;
    if (state === undefined || traceless.has(state)) continue;
    const was = changesOf.get(keyOf(answer))?.some((change) => change.state === state) ?? false;
    if (!was) found.push(`${keyOf(answer)} was told to be ${state}, which it never was`);
  }
  for (const [key, own] of changesOf) {
    const again = own.find((change, at) => at > 0 && own[at - 1]?.state === change.state);
    if (again !== undefined) found.push(`${key} changed to ${again.state} twice in a row`);
    const newest = own.at(-1)?.state;
    if (newest !== states.get(key)) {
      found.push(`${key} changed to ${newest} last and is stored as ${states.get(key)}`);
    }
  }
  return found.map((what) => ({ rule, what }));
};
