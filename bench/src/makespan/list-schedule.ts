/** A task as a schedule sees it. */
export interface Job {
  /** Its role's place in `RoleOrder`. */
  readonly role: number;
  readonly host: string;
  readonly durationMs: number;
}

/** For each role the places of those that must be done before it, without a circle. */
export type RoleOrder = readonly (readonly number[])[];

/** What the work takes with no overhead at all. Each is computed, none is measured. */
export interface Floors {
  /** The longest chain of roles, each as long as its longest task. */
  readonly criticalPathMs: number;
  /** All work of the host that has most of it. */
  readonly busiestHostMs: number;
  /** What a schedule takes that gives each host, whenever it is free, the ready task with the longest way to the end. */
  readonly listScheduleMs: number;
  /** The largest of them. */
  readonly floorMs: number;
}

/** Computes what tasks take at least, and in a good order: a role after its blockers, a host one task at a time, no overhead. */
export function floorsOf(jobs: readonly Job[], order: RoleOrder): Floors {
  const criticalPathMs = Math.max(0, ...waysToEnd(longestTasks(jobs, order.length), order));
  const busiestHostMs = longestQueue(jobs);
  const listScheduleMs = listSchedule(jobs, order);
  const floorMs = Math.max(criticalPathMs, busiestHostMs, listScheduleMs);
  return { criticalPathMs, busiestHostMs, listScheduleMs, floorMs };
}

/** What stages take that follow each other: of each the longest queue of a host, added up. */
export function stagesBound(stages: readonly (readonly Job[])[]): number {
  return stages.reduce((sum, jobs) => sum + longestQueue(jobs), 0);
}

function longestQueue(jobs: readonly Job[]): number {
  const hosts = new Map<string, number>();
  for (const { host, durationMs } of jobs) hosts.set(host, (hosts.get(host) ?? 0) + durationMs);
  return Math.max(0, ...hosts.values());
}

function longestTasks(jobs: readonly Job[], roles: number): number[] {
  const longest = Array.from({ length: roles }, () => 0);
  for (const { role, durationMs } of jobs) longest[role] = Math.max(longest[role] ?? 0, durationMs);
  return longest;
}

/** For each role how long it is from its start to the end of everything that waits for it. */
function waysToEnd(weights: readonly number[], order: RoleOrder): number[] {
  const found: (number | undefined)[] = [];
  const dependants = dependantsOf(order);
  const wayFrom = (role: number): number => {
    const known = found[role];
    if (known !== undefined) return known;
    const after = Math.max(0, ...(dependants[role] ?? []).map(wayFrom));
    const way = (weights[role] ?? 0) + after;
    found[role] = way;
    return way;
  };
  return order.map((_, role) => wayFrom(role));
}

function dependantsOf(order: RoleOrder): number[][] {
  const dependants: number[][] = order.map(() => []);
  for (const [role, blockers] of order.entries()) {
    for (const blocker of blockers) dependants[blocker]?.push(role);
  }
  return dependants;
}

function listSchedule(jobs: readonly Job[], order: RoleOrder): number {
  const weights = longestTasks(jobs, order.length);
  const ways = waysToEnd(weights, order);
  const dependants = dependantsOf(order);
  const wayOf = ({ role, durationMs }: Job) =>
    (ways[role] ?? 0) - (weights[role] ?? 0) + durationMs;
  const ofRole: Job[][] = order.map(() => []);
  for (const job of jobs) ofRole[job.role]?.push(job);
  const waitsFor = order.map((blockers) => blockers.length);
  const left = ofRole.map((each) => each.length);
  const ready = new Map<string, Job[]>();
  const running = new Map<string, { job: Job; endsMs: number }>();
  let nowMs = 0;

  const open = (role: number): void => {
    for (const job of ofRole[role] ?? []) {
      const queue = ready.get(job.host);
      if (queue === undefined) ready.set(job.host, [job]);
      else queue.push(job);
    }
    if (left[role] === 0) passed(role);
  };
  const passed = (role: number): void => {
    for (const dependant of dependants[role] ?? []) {
      const waits = (waitsFor[dependant] ?? 0) - 1;
      waitsFor[dependant] = waits;
      if (waits === 0) open(dependant);
    }
  };
  for (const [role, blockers] of order.entries()) if (blockers.length === 0) open(role);
  for (;;) {
    for (const [host, queue] of ready) {
      if (running.has(host) || queue.length === 0) continue;
      queue.sort((a, b) => wayOf(b) - wayOf(a));
      const job = queue.shift();
      if (job !== undefined) running.set(host, { job, endsMs: nowMs + job.durationMs });
    }
    if (running.size === 0) return nowMs;
    nowMs = Math.min(...[...running.values()].map(({ endsMs }) => endsMs));
    // All that end at that time, before anything begins.
    for (const [host, { job, endsMs }] of running) {
      if (endsMs > nowMs) continue;
      running.delete(host);
      const unfinished = (left[job.role] ?? 0) - 1;
      left[job.role] = unfinished;
      if (unfinished === 0) passed(job.role);
    }
  }
}
