import { type Graph, nodeKey, type PlanNode } from "./graph.js";
import type { Rules } from "./rules.js";

/** Nodes that wait for each other. */
export interface Cycle {
  /** All that are tied up with each other, by name. */
  readonly members: readonly PlanNode[];
  /** One way round: each waits for the next, the last for the first. */
  readonly path: readonly PlanNode[];
}

/** Thrown when commands of an operation wait for each other in a circle, so that no order exists. */
export class CycleError extends Error {
  override readonly name = "CycleError";

  constructor(
    /** Every circle, each once, by the name of its first member; at least one. */
    readonly cycles: readonly Cycle[],
  ) {
    const circles = cycles.map(({ path }) =>
      [...path, ...path.slice(0, 1)].map(({ role, verb }) => `${role} ${verb}`).join(" waits for "),
    );
    super(
      `the commands wait for each other: ${circles.join("; ")}. ` +
        "Change the stack's role_command_order.json, or split the operation",
    );
  }
}

/**
 * Finds the circles of a graph; the same for any order of its nodes.
 * @param rules the rules before closure: with them a way round goes through the rules as written, where it can
 */
export function findCycles(graph: Graph, rules: Rules): Cycle[] {
  const byName = (a: number, b: number) => (nameOf(graph, a) < nameOf(graph, b) ? -1 : 1);
  return components(graph)
    .filter((members) => members.length > 1)
    .map((members) => members.sort(byName))
    .sort((a, b) => byName(a[0] ?? 0, b[0] ?? 0))
    .map((members) => {
      const inside = new Set(members);
      const waitsFor = (index: number) =>
        [...(graph.predecessors[index] ?? [])].filter((each) => inside.has(each)).sort(byName);
      const asWritten = (index: number) => {
        const own = nameOf(graph, index);
        const ruled = rules.get(own);
        const verb = graph.nodes[index]?.verb;
        return waitsFor(index).filter(
          // What orders two verbs without a rule is as direct as a rule.
          (each) => ruled?.has(nameOf(graph, each)) || graph.nodes[each]?.verb !== verb,
        );
      };
      const path = wayRound(members, asWritten) ?? wayRound(members, waitsFor) ?? members;
      const toNodes = (indexes: readonly number[]) =>
        indexes.flatMap((index) => graph.nodes[index] ?? []);
      return { members: toNodes(members), path: toNodes(path) };
    });
}

function nameOf(graph: Graph, index: number): string {
  const node = graph.nodes[index];
  return node ? nodeKey(node) : "";
}

/** The shortest way from the first member that has one back to itself. */
function wayRound(
  members: readonly number[],
  next: (index: number) => readonly number[],
): number[] | undefined {
  for (const start of members) {
    const cameFrom = new Map<number, number>();
    const queue = [start];
    for (const current of queue) {
      for (const each of next(current)) {
        if (each === start) {
          const path = [current];
          for (let at = cameFrom.get(current); at !== undefined; at = cameFrom.get(at)) {
            path.unshift(at);
          }
          return path;
        }
        if (cameFrom.has(each)) continue;
        cameFrom.set(each, current);
        queue.push(each);
      }
    }
  }
  return undefined;
}

/** The strongly connected components (Tarjan), without recursion so that no graph is too deep. */
function components(graph: Graph): number[][] {
  const found: number[][] = [];
  const order = new Map<number, number>();
  const low = new Map<number, number>();
  const stack: number[] = [];
  const onStack = new Set<number>();
  const enter = (index: number) => {
    order.set(index, order.size);
    low.set(index, order.get(index) ?? 0);
    stack.push(index);
    onStack.add(index);
    return { index, rest: [...(graph.predecessors[index] ?? [])] };
  };
  for (const start of graph.nodes.keys()) {
    if (order.has(start)) continue;
    const walk = [enter(start)];
    for (let top = walk.at(-1); top; top = walk.at(-1)) {
      const { index, rest } = top;
      const lower = (to: number) => low.set(index, Math.min(low.get(index) ?? 0, to));
      const next = rest.pop();
      if (next !== undefined) {
        if (!order.has(next)) walk.push(enter(next));
        else if (onStack.has(next)) lower(order.get(next) ?? 0);
        continue;
      }
      walk.pop();
      const parent = walk.at(-1);
      if (parent) {
        low.set(parent.index, Math.min(low.get(parent.index) ?? 0, low.get(index) ?? 0));
      }
      if (low.get(index) !== order.get(index)) continue;
      const component = stack.splice(stack.indexOf(index));
      for (const each of component) onStack.delete(each);
      found.push(component);
    }
  }
  return found;
}
