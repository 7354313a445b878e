import type { TaskKey } from "@howdah/agent/task-key";

/** How the simulated hosts' commands behave. */
export interface Behaviour {
  /** How long a command runs: anywhere between the two. */
  readonly durationMs: readonly [number, number];
  /** How many of all commands fail: 0 none, 1 all. */
  readonly failureRate: number;
  /** What each writes to its standard output. */
  readonly outputBytes: number;
  /** The same seed gives the same attempt of the same task the same fate. */
  readonly seed: number;
}

/** What is to become of an attempt, unless something stops it. */
export interface Fate {
  readonly durationMs: number;
  readonly fails: boolean;
}

/** Draws what is to become of an attempt. */
export function fateOf(key: TaskKey, behaviour: Behaviour): Fate {
  const { durationMs, failureRate, seed } = behaviour;
  const [least, most] = durationMs;
  const text = `${seed} ${key.taskId} ${key.attempt}`;
  return {
    durationMs: Math.round(least + (most - least) * chance(`${text} duration`)),
    fails: chance(`${text} failure`) < failureRate,
  };
}

/** A number from 0 up to 1, spread evenly, always the same for the same text: FNV-1a, stirred as MurmurHash does in the end. */
function chance(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
