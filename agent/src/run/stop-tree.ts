import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import {
  hasEnvironment,
  listProcesses,
  type ProcessIdentity,
  type ProcessInfo,
  readProcess,
} from "../process-table.js";

/** What is to be stopped, and how. */
export interface StopTree {
  /** `NAME=value` that every process of the tree was given in its environment. */
  readonly tag: string;
  /** The shell that leads the tree's session: left alone, so that it records how its command ended. */
  readonly supervisor?: ProcessIdentity | undefined;
  /** Leads the tree's session where there is no supervisor; is stopped like the rest. */
  readonly leader?: ProcessIdentity | undefined;
  /** Between SIGTERM and SIGKILL. Default 5 s. */
  readonly graceMs?: number;
  /** How long package managers are waited for; they are never killed. Default 10 min. */
  readonly packageManagerWaitMs?: number;
  /** Ends the work at once; rejects with its reason. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** Looks at the processes of the machine. Default `listProcesses`; tests have others. */
  readonly look?: () => readonly ProcessInfo[];
}

/** What was done. */
export interface StopReport {
  /** Processes that were sent SIGTERM, and those of them or of their offspring that needed SIGKILL. */
  readonly terminated: number;
  readonly killed: number;
  /** What still runs, as `name (pid)`: package managers after the wait, and what SIGKILL could not end in time. */
  readonly leftRunning: readonly string[];
}

/** After SIGKILL began, how long a process may stay: one in an uninterruptible call, or another user's. */
const killWaitMs = 15_000;

/**
 * A look misses who was forked while it went on, and who is just being executed and has no environment yet: where somebody had to be
 * stopped, nobody is left when two looks so long apart find none.
 */
const lookAgainMs = 20;

/** Killed halfway, each of these leaves a host that needs repair by hand. */
const packageManagers = new Set([
  ...["apt-get", "apt", "aptitude", "dpkg", "dpkg-deb", "unattended-upgr", "apk", "pacman"],
  ...["yum", "dnf", "dnf-3", "dnf5", "microdnf", "tdnf", "rpm", "rpmdb", "zypper", "zypp"],
]);

/**
 * Stops a whole process tree: the supervisor's descendants and session, and whatever left both but carries the tag.
 * SIGTERM, then after the grace SIGKILL, again and again until two looks find nobody, so that what is forked meanwhile is
 * stopped too. Not found: a process that left the session, lost its ancestors and cleared its environment.
 */
export async function stopTree(options: StopTree): Promise<StopReport> {
  const graceMs = options.graceMs ?? 5_000;
  const waitMs = options.packageManagerWaitMs ?? 600_000;
  const look = options.look ?? listProcesses;
  const began = performance.now();
  const terminated = new Set<string>();
  const killed = new Set<string>();
  const known = new Map<number, number>();
  let pauseMs = 5;
  let told = false;
  let lookedAgain = false;
  for (;;) {
    options.signal.throwIfAborted();
    const { victims, spared } = selectTree(look(), known, options);
    const elapsed = performance.now() - began;
    for (const victim of victims) {
      known.set(victim.pid, victim.startTime);
      const name = `${victim.pid}.${victim.startTime}`;
      const kill = elapsed >= graceMs;
      if (kill ? killed.has(name) : terminated.has(name)) continue;
      (kill ? killed : terminated).add(name);
      signalProcess(victim, kill ? "SIGKILL" : "SIGTERM", options.log);
    }
    const victimsDone = victims.length === 0 || elapsed >= graceMs + killWaitMs;
    const nobody = victims.length === 0 && spared.length === 0;
    if (nobody && terminated.size > 0 && !lookedAgain) {
      lookedAgain = true;
      await sleep(lookAgainMs, undefined, { signal: options.signal });
      continue;
    }
    if (!nobody) lookedAgain = false;
    if (victimsDone && (spared.length === 0 || elapsed >= waitMs)) {
      const leftRunning = [...victims, ...spared].map(nameOf);
      if (leftRunning.length > 0) options.log.warn({ leftRunning }, "processes left running");
      return { terminated: terminated.size, killed: killed.size, leftRunning };
    }
    if (spared.length > 0 && !told) {
      told = true;
      const waitingFor = spared.map(nameOf);
      options.log.warn({ waitingFor }, "waiting for a package manager: it is never killed");
    }
    await sleep(Math.min(pauseMs, 100), undefined, { signal: options.signal });
    pauseMs *= 2;
  }
}

/** Splits the tree's processes into those to stop and those to wait for. `known` are those already found to be of it. */
export function selectTree(
  processes: readonly ProcessInfo[],
  known: ReadonlyMap<number, number>,
  tree: Pick<StopTree, "tag" | "supervisor" | "leader">,
  carriesTag = hasEnvironment,
): { victims: ProcessInfo[]; spared: ProcessInfo[] } {
  const byPid = new Map(processes.map((info) => [info.pid, info]));
  const named = tree.supervisor ?? tree.leader;
  const leader = named && byPid.get(named.pid);
  // A session's id is not given to a new process while the session has members; another process with the
  // leader's pid therefore means that nobody of its session is left.
  const sessionIsOurs = named && (!leader || leader.startTime === named.startTime);
  const ours = new Set<number>();
  if (leader && sessionIsOurs) ours.add(leader.pid);
  for (const info of processes) {
    const inSession = sessionIsOurs && info.session === named.pid;
    const wasKnown = known.get(info.pid) === info.startTime;
    if (inSession || wasKnown || carriesTag(info.pid, tree.tag)) ours.add(info.pid);
  }
  const untouchable = ancestors(process.pid, byPid);
  for (const pid of untouchable) ours.delete(pid);
  closeOverChildren(ours, processes, untouchable);

  const sparedPids = new Set<number>();
  for (const pid of ours) {
    if (packageManagers.has(byPid.get(pid)?.name ?? "")) sparedPids.add(pid);
  }
  closeOverChildren(sparedPids, processes, untouchable);
  const members = processes.filter(
    ({ pid, zombie }) =>
      ours.has(pid) && !zombie && !(sessionIsOurs && pid === tree.supervisor?.pid),
  );
  return {
    victims: members.filter(({ pid }) => !sparedPids.has(pid)),
    spared: members.filter(({ pid }) => sparedPids.has(pid)),
  };
}

/** Adds every descendant of the members. */
function closeOverChildren(
  members: Set<number>,
  processes: readonly ProcessInfo[],
  except: ReadonlySet<number>,
): void {
  for (let size = -1; size !== members.size; ) {
    size = members.size;
    for (const { pid, parent } of processes) {
      if (members.has(parent) && !except.has(pid)) members.add(pid);
    }
  }
}

/** This process and its ancestors: a command may have started this very agent, and its tag is then inherited. */
function ancestors(from: number, byPid: ReadonlyMap<number, ProcessInfo>): Set<number> {
  const found = new Set<number>([1]);
  for (let pid = from; pid > 1 && !found.has(pid); pid = byPid.get(pid)?.parent ?? 0) {
    found.add(pid);
  }
  return found;
}

function signalProcess(target: ProcessInfo, signal: NodeJS.Signals, log: Logger): void {
  // The pid may belong to another process by now.
  if (readProcess(target.pid)?.startTime !== target.startTime) return;
  try {
    process.kill(target.pid, signal);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== "ESRCH") log.error({ process: nameOf(target), code }, `${signal} failed`);
  }
}

function nameOf({ name, pid }: ProcessInfo): string {
  return `${name} (${pid})`;
}
