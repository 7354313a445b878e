import type { HostQueues } from "./host-queues.js";
import { RequestRun } from "./request-run.js";
import type { RunContents } from "./run-contents.js";
import type { RunTask } from "./run-task.js";

/** A request that may have tasks released as it is stored. */
export interface FirstReleases {
  /** The request as it would be, none of it released; the ids of its tasks are their places. */
  readonly draft: RunContents;
  /** How many commands at most. */
  readonly most: number;
}

/**
 * The tasks that may be released as their request is stored, what is most urgent first: what its hosts could start at once, by the rules by
 * which that is found out for requests that are driven. None where these have more to ask: of requests that are capped, run alone, or wait
 * for hosts in maintenance or for a window.
 */
export function firstReleases(queues: HostQueues, { draft, most }: FirstReleases): RunTask[] {
  const run = new RequestRun(draft);
  const { maxInFlight, waitsForHosts } = run.options;
  if (maxInFlight > 0 || waitsForHosts) return [];
  const { hosts } = run.moveOn();
  return [...hosts].flatMap((hostId) => queues.startable(run, hostId)).slice(0, most);
}
