import type { Portion, ReleaseOrder, Turn } from "./release-order.js";
import type { RunRole } from "./run-role.js";
import type { RunTask } from "./run-task.js";

interface Node {
  readonly role: RunRole;
  readonly portion: Portion;
  readonly dependants: readonly number[];
  /** How many roles must still be done, one after the other, before it is due; undefined when that must be found out anew. */
  before: number | undefined;
  /** How many of its blockers have not passed. */
  waitsFor: number;
  /** Done, and has succeeded. */
  passed: boolean;
}

/**
 * Without barriers: a role is due when each of its blockers is done and has succeeded. A finished task looks at its own role; only a role
 * that passes looks at those that wait for it. What has the longest path of roles behind it goes first.
 */
export class DependencyOrder implements ReleaseOrder {
  private readonly nodes: Node[];
  /** Roles of which something changed, or may be due. */
  private readonly touched = new Set<number>();
  private readonly check = new Set<number>();

  /** @param hasSucceeded whether a role that is done lets others go on */
  constructor(
    roles: readonly RunRole[],
    private readonly hasSucceeded: (role: RunRole) => boolean,
  ) {
    const dependants: number[][] = roles.map(() => []);
    for (const [at, { blockers }] of roles.entries()) {
      for (const blocker of blockers) dependants[blocker]?.push(at);
    }
    const ranks = longestPaths(dependants);
    this.nodes = roles.map((role, at) => ({
      role,
      portion: { tasks: [], unfinished: 0, open: false, since: 0, rank: ranks[at] ?? 0 },
      dependants: dependants[at] ?? [],
      before: undefined,
      waitsFor: role.blockers.length,
      passed: false,
    }));
    for (const at of roles.keys()) {
      this.touched.add(at);
      this.check.add(at);
    }
  }

  private nodeOf(task: RunTask): Node {
    const node = this.nodes[task.roleIndex];
    if (node !== undefined && task.stageId === 0) return node;
    throw new Error(
      `request ${task.requestId}: task ${task.taskId} is of stage ${task.stageId}, role ${task.roleIndex}, which it has not`,
    );
  }

  portionOf(task: RunTask): Portion {
    return this.nodeOf(task).portion;
  }

  changed(task: RunTask, unfinished: -1 | 0 | 1): void {
    this.nodeOf(task).portion.unfinished += unfinished;
    this.touched.add(task.roleIndex);
  }

  moveOn(): Turn {
    for (const at of this.touched) this.look(at);
    this.touched.clear();
    const opened: Portion[] = [];
    const closed: Portion[] = [];
    for (const at of this.check) {
      const node = this.nodes[at];
      if (node === undefined || node.portion.open === (node.waitsFor === 0)) continue;
      node.portion.open = node.waitsFor === 0;
      (node.portion.open ? opened : closed).push(node.portion);
    }
    this.check.clear();
    opened.sort((a, b) => b.rank - a.rank);
    return { opened, closed, restMs: 0 };
  }

  /** Looks whether a role has passed. */
  private look(at: number): void {
    const node = this.nodes[at];
    if (node === undefined) return;
    const passed = node.portion.unfinished === 0 && this.hasSucceeded(node.role);
    if (passed === node.passed) return;
    node.passed = passed;
    for (const each of this.nodes) each.before = undefined;
    for (const dependant of node.dependants) {
      const waiting = this.nodes[dependant];
      if (waiting === undefined) continue;
      waiting.waitsFor += passed ? -1 : 1;
      this.check.add(dependant);
    }
  }

  rolesBefore(task: RunTask): number {
    return this.before(this.nodeOf(task));
  }

  /** Found out once after a role has passed, and not for each task. */
  private before(node: Node): number {
    node.before ??= node.role.blockers.reduce((most, at) => {
      const blocker = this.nodes[at];
      if (blocker === undefined || blocker.passed) return most;
      return Math.max(most, 1 + this.before(blocker));
    }, 0);
    return node.before;
  }

  rested(): void {
    // There are no batches here.
  }

  waitsFor({ roleIndex }: RunTask) {
    const blockers = this.nodes[roleIndex]?.role.blockers ?? [];
    const names = blockers.flatMap((at) => {
      const node = this.nodes[at];
      if (node === undefined || node.passed) return [];
      return `${node.role.name} (${node.portion.unfinished} tasks to go)`;
    });
    const text = `these roles must be done and have succeeded before: ${names.join(", ")}`;
    return { kind: "BLOCKER" as const, text };
  }
}

/** Of each node, how many there are on the longest path from it. The graph has no cycles. */
function longestPaths(next: readonly (readonly number[])[]): number[] {
  const found: (number | undefined)[] = [];
  const from = (at: number): number => {
    const known = found[at];
    if (known !== undefined) return known;
    // A cycle, which the store refuses, would end here instead of never.
    found[at] = 0;
    const longest = 1 + Math.max(0, ...(next[at] ?? []).map(from));
    found[at] = longest;
    return longest;
  };
  return next.map((_, at) => from(at));
}
