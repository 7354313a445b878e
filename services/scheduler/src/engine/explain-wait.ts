import { Status } from "@howdah/proto/howdah/v1/status";
import { holdingStatuses, statusName } from "@howdah/state/statuses";
import type { Away } from "../presence/presence.js";
import type { Agenda } from "./agenda.js";
import { aheadPerHost } from "./host-queues.js";
import type { RequestRun } from "./request-run.js";
import type { RunTask } from "./run-task.js";

/** Something that a task waits for. */
export interface Waiting {
  readonly kind: string;
  readonly text: string;
  /** Since when, on this process's monotonic clock. */
  readonly since: number;
}

/** Since when a host is away, and whether it is lost; undefined while it has a session, or is not known. */
export type AwayOf = (hostId: bigint) => Away | undefined;

/** What a task waits for, as far as the scheduler knows: all of it, what must come first at first. None when it waits for nothing. */
export function waitsOf(
  agenda: Agenda,
  run: RequestRun,
  task: RunTask,
  awayOf: AwayOf = () => undefined,
): Waiting[] {
  const away = awayOrNot(agenda, task, awayOf);
  const { status, since } = task;
  if (holdingStatuses.has(status)) {
    const text = `it is ${statusName(status)}: a person must say what becomes of it`;
    return [{ kind: "HOLD", text, since }];
  }
  switch (status) {
    case Status.PENDING:
      return pendingWaits(agenda, run, task, away);
    case Status.QUEUED:
      return queuedWaits(agenda, run, task, away);
    case Status.UNKNOWN: {
      const text = "its outcome is unknown until its host's agent tells it, or a person retries it";
      return [{ kind: "AGENT", text, since }, ...away];
    }
    default:
      return [];
  }
}

function pendingWaits(agenda: Agenda, run: RequestRun, task: RunTask, away: Waiting[]): Waiting[] {
  const waits: Waiting[] = [];
  const { since } = task;
  if (run.stopping) {
    const text = `its request is being stopped (${run.reason}): it is about to be aborted`;
    return [{ kind: "STAGE", text, since }];
  }
  const parkedSince = agenda.parkedSince(run) ?? since;
  if (run.paused) {
    const why = run.pauseReason === "" ? "" : `: ${run.pauseReason}`;
    waits.push({ kind: "PAUSE", text: `its request is paused${why}`, since: parkedSince });
  }
  if (run.windowShut) {
    waits.push({ kind: "WINDOW", text: agenda.windows.waitsFor(run), since: parkedSince });
  }
  if (task.backingOff) {
    const text = `the pause of ${run.backoffMs(task)} ms before attempt ${task.attempt} is not over`;
    waits.push({ kind: "BACKOFF", text, since });
  }
  const order = run.waitsFor(task);
  if (order !== undefined) waits.push({ ...order, since });
  if (order !== undefined && run.heldTasks > 0) {
    const text = `${run.heldTasks} of its request's tasks wait for a person`;
    waits.push({ kind: "HOLD", text, since: parkedSince });
  }
  if (order !== undefined || task.backingOff || run.paused || run.windowShut) return waits;
  return [...waits, ...hostWaits(agenda, run, task, away)];
}

/** What a task that is due waits for. */
function hostWaits(agenda: Agenda, run: RequestRun, task: RunTask, away: Waiting[]): Waiting[] {
  const { queues } = agenda;
  const { hostId } = task;
  const since = Math.max(task.since, run.dueSince(task));
  const waits = [...away];
  if (queues.gate.keeps(run, hostId))
    waits.push({ kind: "MAINTENANCE", text: gateText(queues.gate.reasonOf(hostId)), since });
  const exclusive = queues.exclusive.inTheWayOf(run);
  if (exclusive !== undefined) {
    const text =
      exclusive === run
        ? "its request runs alone: all others must end first"
        : `request ${exclusive.requestId} runs alone, or is about to`;
    waits.push({ kind: "EXCLUSIVE", text, since });
  }
  const before = queues.before(run, task);
  if (before !== undefined) {
    const text = `request ${before.requestId} comes first on its host and is not done there`;
    waits.push({ kind: "HOST_BUSY", text, since });
  }
  if (queues.beingMade.holds(hostId)) {
    const text = "its host gets the first command of a request that is just being stored";
    waits.push({ kind: "HOST_BUSY", text, since });
  }
  const { unstarted = 0, running = 0 } = queues.hostState(hostId) ?? {};
  if (before === undefined && unstarted >= aheadPerHost) {
    const text = `${unstarted} commands that have not started were sent to its host ahead of it`;
    waits.push({ kind: "HOST_QUEUE", text, since });
  }
  const busy = unstarted + running;
  if (before === undefined && run.laneOf(task) === "ordered" && run.keepsFree(task, busy)) {
    const text = `its host has ${busy} other ${busy === 1 ? "command" : "commands"} to end, and is kept free for one that more others wait for and that is nearly due`;
    waits.push({ kind: "HOST_QUEUE", text, since });
  }
  for (const text of agenda.capsReached(run)) waits.push({ kind: "CAP", text, since });
  return waits;
}

function queuedWaits(agenda: Agenda, run: RequestRun, task: RunTask, away: Waiting[]): Waiting[] {
  const { since } = task;
  if (away.length > 0) return away;
  const { running = 0, unstarted = 0 } = agenda.queues.hostState(task.hostId) ?? {};
  const isBehind = running > 0 && run.laneOf(task) === "ordered";
  const text = isBehind
    ? `its host runs another command, and has been sent ${unstarted} that have not started, this one among them`
    : "it was released; its host's agent has not said yet that it started";
  return [{ kind: isBehind ? "HOST_QUEUE" : "AGENT", text, since }];
}

/** A host without a session, and how many tasks of a request that are not done are its own. */
export interface HostAway {
  readonly hostId: bigint;
  readonly tasks: number;
  /** What is known of its absence. */
  readonly away: Away | undefined;
}

/** The hosts without a session that have tasks of the request that are not done. */
export function hostsAway(
  { queues }: Agenda,
  run: RequestRun,
  awayOf: AwayOf = () => undefined,
): HostAway[] {
  return [...run.unfinishedHosts()]
    .filter((hostId) => queues.session(hostId) === undefined)
    .map((hostId) => ({ hostId, tasks: run.unfinishedOn(hostId), away: awayOf(hostId) }));
}

function awayOrNot({ queues }: Agenda, task: RunTask, awayOf: AwayOf): Waiting[] {
  const { hostId } = task;
  if (queues.session(hostId) !== undefined) return [];
  const away = awayOf(hostId);
  const awaySince = away?.since ?? queues.hostState(hostId)?.awaySince ?? task.since;
  const text = `its host's agent is not connected${away === undefined ? "" : awayText(away)}`;
  return [{ kind: "HOST_LOST", text, since: Math.max(task.since, awaySince) }];
}

function awayText({ since, lost, dueAt }: Away): string {
  const now = performance.now();
  const silent = `: not heard of for ${Math.round((now - since) / 1_000)} s`;
  if (lost) return `${silent}, its host is HEARTBEAT_LOST`;
  const left = Math.ceil((dueAt - now) / 1_000);
  return left > 0 ? `${silent}, lost in ${left} s unless it comes back` : silent;
}

function gateText(reason: string | undefined): string {
  if (reason === undefined)
    return "the scheduler has not read yet whether its host is in maintenance";
  return `its host is in maintenance${reason === "" ? "" : `: ${reason}`}`;
}
