import type { Crash, Journal } from "../check/history.js";

/** What can go wrong, by the word that `--faults` takes. */
export const faultKinds = [
  "kill-store",
  "kill-scheduler",
  "kill-dispatcher",
  "kill-gateway",
  "kill-agent",
  "kill-database",
  "pause-service",
  "pause-agent",
  "pause-database",
  "cut",
  "silence",
  "lose-answers",
  "delay",
  "crash-host",
  "wipe-host",
  "fill-disk",
  "move-clock",
] as const;

/** What can go wrong. */
export type FaultKind = (typeof faultKinds)[number];

/** Something that is to go wrong for a time. */
export interface Fault {
  readonly kind: FaultKind;
  /** For people, such as "kill -9 scheduler-1". */
  readonly text: string;
  /** No two faults at a time touch one of these: names of parts and links. */
  readonly touches: readonly string[];
  readonly lastsMs: number;
  begin(): Promise<void>;
  /** Makes all as it was. Called once, after `begin`, also when that has failed. */
  heal(): Promise<void>;
}

/** What the checks must know of what was done. */
export interface Evidence {
  /** When the database was killed. */
  readonly databaseKills: number[];
  readonly crashes: Crash[];
  /** The journals that were deleted, as they then were. */
  readonly wipedJournals: Journal[];
}
