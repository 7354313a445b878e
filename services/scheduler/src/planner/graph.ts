import type { Rules } from "./rules.js";

/** What stages are made of: one verb of one role, on however many hosts. */
export interface PlanNode {
  readonly role: string;
  /** The verb that orders it, such as START. A custom command RESTART is ordered as RESTART. */
  readonly verb: string;
}

/** The name of a node, and its key in the rules. */
export function nodeKey(node: PlanNode): string {
  return `${node.role}-${node.verb}`;
}

/** Which nodes must be done before which. */
export interface Graph {
  readonly nodes: readonly PlanNode[];
  /** For each node the indexes of those that go before it. */
  readonly predecessors: readonly ReadonlySet<number>[];
}

/** How verbs follow each other where no rule says otherwise: lower first, equal ones in no order. */
function verbRank(verb: string): number {
  switch (verb) {
    case "INSTALL":
      return 0;
    case "START":
    case "EXECUTE":
    case "SERVICE_CHECK":
      return 1;
    case "STOP":
      return 2;
    default:
      return 3;
  }
}

/**
 * Orders nodes by the rules, and by their verbs where no rule is about the two. The work grows with nodes and edges,
 * not with hosts.
 * @param rules effective rules
 */
export function buildGraph(nodes: readonly PlanNode[], rules: Rules): Graph {
  const indexes = new Map(nodes.map((node, index) => [nodeKey(node), index]));
  const predecessors = nodes.map((node, index) => {
    const before = new Set<number>();
    for (const blocker of rules.get(nodeKey(node)) ?? []) {
      const found = indexes.get(blocker);
      if (found !== undefined && found !== index) before.add(found);
    }
    return before;
  });
  const ranks = nodes.map((node) => verbRank(node.verb));
  const ruled = predecessors.map((before) => new Set(before));
  for (const [first, firstRank] of ranks.entries()) {
    for (const [second, secondRank] of ranks.entries()) {
      if (firstRank >= secondRank) continue;
      if (!ruled[first]?.has(second) && !ruled[second]?.has(first)) {
        predecessors[second]?.add(first);
      }
    }
  }
  return { nodes, predecessors };
}
