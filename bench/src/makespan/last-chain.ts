import type { Task } from "@howdah/proto/howdah/v1/request";
import { type Ran, timesOf } from "./hops.js";
import type { RoleOrder } from "./list-schedule.js";

/** What a task's start waited for last: its host's command before it, the last of its role's blockers, or nothing but the request. */
export type After = "host" | "role" | "nothing";

/** A task of the chain, and what lies between the end before it and its start; clocks of the same machine, whole milliseconds. */
export interface Link {
  readonly ran: Ran;
  readonly after: After;
  /** From the end before it, or the given beginning, to its start: the sum of the parts that follow. */
  readonly gapMs: number;
  /** Until that end was committed. */
  readonly reportMs: number;
  /** From there until the task was QUEUED. */
  readonly decideMs: number;
  /** From there until its command was in its agent's journal. */
  readonly deliverMs: number;
  /** From there until it started. */
  readonly startMs: number;
  /** How much longer it ran than its job says. */
  readonly overMs: number;
}

/**
 * The chain of tasks that a request's end waited for, first to last: from the last end back, each task began when the command before it
 * on its host had ended, or the last of its role's blockers, whichever came later. What a part of a gap took that was done before that
 * end, since the command was sent ahead, is 0.
 * @param beganMs when the request was submitted
 */
export function lastChain(all: readonly Ran[], order: RoleOrder, beganMs: number): Link[] {
  const roles: Ran[][] = order.map(() => []);
  const hosts = new Map<string, Ran[]>();
  for (const ran of all) {
    roles[ran.job.role]?.push(ran);
    const sameHost = hosts.get(ran.job.host);
    if (sameHost === undefined) hosts.set(ran.job.host, [ran]);
    else sameHost.push(ran);
  }
  const lastOfRole = roles.map(lastEnd);
  const chain: Link[] = [];
  for (let ran = lastEnd(all); ran !== undefined; ) {
    const { startMs } = timesOf(ran.task);
    const earlier = (hosts.get(ran.job.host) ?? []).filter(
      (other) => other !== ran && timesOf(other.task).endMs <= startMs,
    );
    const ofHost = lastEnd(earlier);
    const ofRole = lastEnd((order[ran.job.role] ?? []).flatMap((at) => lastOfRole[at] ?? []));
    const before = lastEnd([ofRole, ofHost].filter((each) => each !== undefined));
    chain.push(linkOf(ran, before, before && (before === ofRole ? "role" : "host"), beganMs));
    ran = before;
  }
  return chain.reverse();
}

function lastEnd(all: readonly Ran[]): Ran | undefined {
  const later = (a: Ran, b: Ran) => (timesOf(b.task).endMs > timesOf(a.task).endMs ? b : a);
  return all.length === 0 ? undefined : all.reduce(later);
}

function linkOf(
  ran: Ran,
  before: Ran | undefined,
  after: After = "nothing",
  beganMs: number,
): Link {
  const { startMs, endMs } = timesOf(ran.task);
  const fromMs = before === undefined ? beganMs : timesOf(before.task).endMs;
  const within = (at: number) => Math.min(Math.max(at, fromMs), startMs);
  const receivedMs = within(Number(ran.task.receivedAtMs));
  const queuedMs = Math.min(within(Number(ran.task.queuedAtMs)), receivedMs);
  const reportedMs = Math.min(within(reportedAtMs(before?.task)), queuedMs);
  return {
    ...{ ran, after, gapMs: startMs - fromMs },
    ...{ reportMs: reportedMs - fromMs, decideMs: queuedMs - reportedMs },
    ...{ deliverMs: receivedMs - queuedMs, startMs: startMs - receivedMs },
    overMs: endMs - startMs - ran.job.durationMs,
  };
}

function reportedAtMs(task: Task | undefined): number {
  return Number(task?.reportedAtMs ?? 0);
}
