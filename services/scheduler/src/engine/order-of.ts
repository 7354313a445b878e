import { DependencyOrder } from "./dependency-order.js";
import type { ReleaseOrder } from "./release-order.js";
import type { RunOptions } from "./run-contents.js";
import { outcomeOf, type RunRole } from "./run-role.js";
import { StageOrder } from "./stage-order.js";

/** In which order a request's portions are released, by how it is to run. */
export function orderOf(
  stages: readonly (readonly RunRole[])[],
  { dependencyOrdered, batchPauseMs, onFailure }: RunOptions,
): ReleaseOrder {
  const outcome = (role: RunRole) => outcomeOf(role, onFailure);
  if (dependencyOrdered) {
    return new DependencyOrder(stages[0] ?? [], (role) => outcome(role) === "succeeded");
  }
  return new StageOrder(stages.length, batchPauseMs, (stageId) =>
    (stages[stageId] ?? []).some((role) => outcome(role) === "failed"),
  );
}
