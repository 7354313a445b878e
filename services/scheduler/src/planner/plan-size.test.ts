import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { type StackDefinition, StackDefinitionSchema } from "@howdah/proto/howdah/v1/stack";
import { script } from "../testing/tiny-cluster.js";
import type { PlanInput } from "./plan-input.js";
import { planOperation } from "./plan-operation.js";

/** Of so many roles, each of which is started after the one before it. */
function chainOf(names: readonly string[]): StackDefinition {
  return create(StackDefinitionSchema, {
    name: "LARGE",
    version: "1",
    services: [
      { name: "ALL", components: names.map((name) => ({ name, commandScript: script("a") })) },
    ],
    roleCommandOrder: [
      {
        name: "general_deps",
        rules: names.slice(1).map((name, index) => ({
          blocked: `${name}-START`,
          blockers: [`ROLE${index}-START`],
        })),
      },
    ],
  });
}

/** Every role on every host, one of which is lost. */
function startAll(hosts: number, roles: number): PlanInput {
  const names = Array.from({ length: roles }, (_, index) => `ROLE${index}`);
  const all = Array.from({ length: hosts }, (_, index) => `host${String(index).padStart(5, "0")}`);
  return {
    operation: { kind: "start" },
    cluster: {
      ...{ name: "c1", id: 7n, services: ["ALL"] },
      components: new Map(names.map((name) => [name, all])),
    },
    stack: chainOf(names),
    hostStates: new Map([["host00007", "LOST"]]),
  };
}

/** The processor time that planning takes, in milliseconds: the least of some, so that neither other processes nor the collector count. */
function costMs(input: PlanInput, runs: number): number {
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < runs; run += 1) {
    const { user, system } = process.cpuUsage();
    planOperation(input);
    const now = process.cpuUsage();
    best = Math.min(best, (now.user + now.system - user - system) / 1_000);
  }
  return best;
}

describe("planOperation() of much", () => {
  it("plans 10,000 hosts x 30 roles, a stage for each role", () => {
    const { stages, skippedHosts } = planOperation(startAll(10_000, 30));
    assert.equal(stages.length, 30);
    assert.equal(skippedHosts[0]?.commands.length, 30);
  });

  for (const [what, few, many] of [
    ["hosts", startAll(1_000, 30), startAll(10_000, 30)],
    ["roles", startAll(10_000, 6), startAll(10_000, 30)],
  ] as const) {
    it(`costs in proportion to the ${what}`, (test) => {
      const [less, more] = [costMs(few, 8), costMs(many, 3)];
      const times = what === "hosts" ? 10 : 5;
      test.diagnostic(`${less.toFixed(1)} ms, ${times} times as many: ${more.toFixed(1)} ms`);
      // In proportion to their square it would be that many times more still. What fits into a processor's caches no more costs twice.
      assert.ok(more < times ** 1.7 * Math.max(less, 1), `${less} ms, then ${more} ms`);
    });
  }
});
