import assert from "node:assert/strict";
import { it } from "node:test";
import { planOperation } from "@howdah/scheduler/planner/plan-operation";
import { startOfAll, withStates } from "./large-operation.js";

it("startOfAll() is a stage for each role with a task on each host, with states and without", () => {
  const bare = startOfAll(7, 12);
  const known = withStates(bare);
  assert.equal(known.states?.size, 84);
  for (const input of [bare, known]) {
    const { stages } = planOperation(input);
    assert.deepEqual(
      stages.map(({ roles }) => roles.map(({ role, hosts }) => `${role} ${hosts.length}`).join()),
      Array.from({ length: 12 }, (_, at) => `ROLE${at} 7`),
    );
  }
});
