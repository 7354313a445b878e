import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CycleError } from "./cycle.js";
import { buildGraph, nodeKey, type PlanNode } from "./graph.js";
import { layersOf } from "./layers.js";
import { effectiveRules } from "./restart-rules.js";
import type { Rules } from "./rules.js";

function nodesOf(names: string): PlanNode[] {
  return names.split(" ").map((name) => {
    const [role = "", verb = ""] = name.split("-");
    return { role, verb };
  });
}

function plan(names: string, rules: Record<string, string[]>): string[] {
  const merged: Rules = new Map(Object.entries(rules).map(([key, list]) => [key, new Set(list)]));
  const nodes = nodesOf(names);
  return layersOf(buildGraph(nodes, effectiveRules(merged)), merged).map((layer) =>
    layer
      .map((index) => nodeKey(nodes[index] as PlanNode))
      .sort()
      .join(" "),
  );
}

function cycleOf(names: string, rules: Record<string, string[]>): CycleError {
  try {
    plan(names, rules);
  } catch (error) {
    assert.ok(error instanceof CycleError);
    return error;
  }
  return assert.fail("it planned");
}

const keys = (nodes: readonly PlanNode[]) => nodes.map(nodeKey).join(" ");

describe("layersOf()", () => {
  it("places each node as early as its rules let it", () => {
    assert.deepEqual(
      plan("A-START B-START C-START D-START", { "A-START": ["B-START"], "B-START": ["C-START"] }),
      ["C-START D-START", "B-START", "A-START"],
    );
  });

  it("keeps the order of two roles when the one between them is not there", () => {
    assert.deepEqual(plan("A-START C-START", { "A-START": ["B-START"], "B-START": ["C-START"] }), [
      "C-START",
      "A-START",
    ]);
  });

  it("orders verbs without rules: INSTALL, then START, EXECUTE and SERVICE_CHECK, then STOP, then the rest", () => {
    assert.deepEqual(
      plan("A-RESTART B-STOP C-SERVICE_CHECK D-EXECUTE E-START F-INSTALL G-CUSTOM_COMMAND", {}),
      ["F-INSTALL", "C-SERVICE_CHECK D-EXECUTE E-START", "B-STOP", "A-RESTART G-CUSTOM_COMMAND"],
    );
  });

  it("treats two verbs of one role as two nodes", () => {
    assert.deepEqual(plan("A-START A-INSTALL", {}), ["A-INSTALL", "A-START"]);
  });

  it("lets a rule beat the order of verbs, also for roles that are not there", () => {
    assert.deepEqual(plan("A-START B-STOP", { "A-START": ["B-STOP"] }), ["B-STOP", "A-START"]);
    assert.deepEqual(plan("A-START B-STOP", { "A-START": ["M-START"], "M-START": ["B-STOP"] }), [
      "B-STOP",
      "A-START",
    ]);
  });

  it("gives no layers for nothing", () => {
    assert.deepEqual(layersOf(buildGraph([], new Map())), []);
  });
});

describe("CycleError", () => {
  it("names a circle of three as it was written, not the short cut through the closure", () => {
    const rules = { "A-START": ["B-START"], "B-START": ["C-START"], "C-START": ["A-START"] };
    const error = cycleOf("D-START C-START B-START A-START", { ...rules, "D-START": ["A-START"] });
    assert.equal(error.cycles.length, 1);
    assert.equal(keys(error.cycles[0]?.path ?? []), "A-START B-START C-START");
    assert.match(
      error.message,
      /A START waits for B START waits for C START waits for A START\. Change the stack/,
    );
  });

  it("names what is there of a circle that passes through an absent role", () => {
    const rules = { "A-START": ["B-START"], "B-START": ["C-START"], "C-START": ["A-START"] };
    assert.equal(keys(cycleOf("C-START A-START", rules).cycles[0]?.path ?? []), "A-START C-START");
  });

  it("finds circles made of rules and the order of verbs, where Ambari never ends", () => {
    const rules = { "A-START": ["S-STOP"], "Y-START": ["X-STOP"] };
    for (const names of ["A-START S-STOP Y-START X-STOP", "X-STOP Y-START S-STOP A-START"]) {
      const error = cycleOf(names, rules);
      assert.equal(keys(error.cycles[0]?.members ?? []), "A-START S-STOP X-STOP Y-START");
      assert.equal(keys(error.cycles[0]?.path ?? []), "A-START S-STOP Y-START X-STOP");
    }
  });

  it("names every circle once, in the order of names", () => {
    const error = cycleOf("Q-START P-START B-STOP A-STOP", {
      "A-STOP": ["B-STOP"],
      "B-STOP": ["A-STOP"],
      "P-START": ["Q-START"],
      "Q-START": ["P-START"],
    });
    assert.deepEqual(
      error.cycles.map(({ members }) => keys(members)),
      ["A-STOP B-STOP", "P-START Q-START"],
    );
  });

  it("is no error for a role that only waits for itself", () => {
    assert.deepEqual(plan("A-START", { "A-START": ["B-START"], "B-START": ["A-START"] }), [
      "A-START",
    ]);
  });

  it("names the copied restart rules when restarts are circular", () => {
    const rules = { "A-START": ["B-START"], "B-RESTART": ["A-RESTART"] };
    assert.equal(
      keys(cycleOf("B-RESTART A-RESTART", rules).cycles[0]?.path ?? []),
      "A-RESTART B-RESTART",
    );
  });
});
