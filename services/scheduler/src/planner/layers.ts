import { CycleError, findCycles } from "./cycle.js";
import type { Graph } from "./graph.js";
import type { Rules } from "./rules.js";

/**
 * Layers the graph as Kahn does: each layer holds every node whose predecessors are all in earlier layers.
 * Ends for every graph; one with a circle is a {@link CycleError}.
 * @param rules the rules before closure; they let the error name the circle as it was written
 */
export function layersOf(graph: Graph, rules: Rules = new Map()): number[][] {
  const waiting = graph.predecessors.map((before) => before.size);
  const successors: number[][] = graph.nodes.map(() => []);
  for (const [index, before] of graph.predecessors.entries()) {
    for (const each of before) successors[each]?.push(index);
  }
  const layers: number[][] = [];
  let layer = [...waiting.keys()].filter((index) => waiting[index] === 0);
  let placed = 0;
  while (layer.length > 0) {
    layers.push(layer);
    placed += layer.length;
    const next: number[] = [];
    for (const done of layer) {
      for (const successor of successors[done] ?? []) {
        const left = (waiting[successor] ?? 0) - 1;
        waiting[successor] = left;
        if (left === 0) next.push(successor);
      }
    }
    layer = next;
  }
  if (placed < graph.nodes.length) throw new CycleError(findCycles(graph, rules));
  return layers;
}
