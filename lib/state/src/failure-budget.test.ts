import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { RollingSchema } from "@howdah/proto/howdah/v1/operation";
import { exceededBudget } from "./failure-budget.js";

function exceeded(
  rolling: MessageInitShape<typeof RollingSchema>,
  failures: number,
  inBatch = failures,
) {
  const batches = [
    { stageId: 0, batch: 1, failures: 0 },
    { stageId: 2, batch: 3, failures: inBatch },
  ];
  return exceededBudget(create(RollingSchema, rolling), { failures, tasks: 40, batches });
}

describe("exceededBudget()", () => {
  it("is exceeded by one more than it bears", () => {
    assert.equal(exceeded({ maxFailures: 2 }, 2), undefined);
    assert.equal(exceeded({ maxFailures: 2 }, 3), "3 tasks failed, the budget is 2");
    assert.equal(exceeded({ maxFailures: 0 }, 1), "1 task failed, the budget is 0");
  });
  it("counts percent of all tasks", () => {
    assert.equal(exceeded({ maxFailurePercent: 10 }, 4), undefined);
    assert.equal(
      exceeded({ maxFailurePercent: 10 }, 5),
      "5 tasks failed of 40, the budget is 10 %",
    );
    assert.equal(exceeded({ maxFailurePercent: 100 }, 40), undefined);
    assert.equal(exceeded({ maxFailurePercent: 0 }, 1), "1 task failed of 40, the budget is 0 %");
  });
  it("counts each batch for itself", () => {
    assert.equal(exceeded({ maxBatchFailures: 1 }, 9, 1), undefined);
    assert.equal(
      exceeded({ maxBatchFailures: 1 }, 9, 2),
      "2 tasks failed in batch 4 of stage 3, the budget of a batch is 1",
    );
  });
  it("bears everything when nothing is stated", () => {
    assert.equal(exceeded({ canary: 1 }, 40), undefined);
  });
});
