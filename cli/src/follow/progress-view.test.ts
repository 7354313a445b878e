import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { RequestSchema, type Stage, StageSchema } from "@howdah/proto/howdah/v1/request";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import { createProgressLines, outcomeLine, progressView, stageTitle } from "./progress-view.js";

const { COMPLETED, FAILED, IN_PROGRESS, PENDING } = Status;
const startedAt = { seconds: 1_000n };
const nowMs = 1_065_000;

function stage(stageId: number, status: Status, displayStatus = status): Stage {
  return create(StageSchema, {
    stageId,
    status,
    displayStatus,
    roles: [{ role: `R${stageId}`, roleCommand: RoleCommand.START }],
    counts: { total: 2, completed: status === COMPLETED ? 2 : 0 },
    times: status === PENDING ? {} : { startedAt },
  });
}

const request = create(RequestSchema, {
  requestId: 7n,
  context: "Start all",
  progressPercent: 40,
  counts: { total: 4, completed: 1, inProgress: 1, pending: 2 },
  times: { startedAt },
});

describe("progressView()", () => {
  it("draws the request and each stage", () => {
    const lines = progressView(
      request,
      [stage(0, COMPLETED), stage(1, IN_PROGRESS), stage(2, PENDING)],
      {
        rows: 24,
        nowMs,
      },
    );
    assert.deepEqual(lines, [
      "Request 7 Start all  ████████░░░░░░░░░░░░ 40 %  1 completed, 1 running, 2 pending  1 min 5 s",
      "  ✓ 1  START R0  2/2  1 min 5 s",
      "  ▸ 2  START R1  0/2  no tasks  1 min 5 s",
      "  · 3  START R2  0/2",
    ]);
  });

  it("keeps a script of several lines on one, so that what is drawn next begins where this began", () => {
    const script = create(RequestSchema, { requestId: 7n, context: "Run \necho one\n  echo two" });
    const [head = ""] = progressView(script, [], { rows: 4, nowMs });
    assert.match(head, /^Request 7 Run echo one echo two {2}░/);
    assert.match(outcomeLine(script), /^Request 7 \(Run echo one echo two\) /);
  });

  it("says which hosts are waited for, below the request", () => {
    const view = { rows: 4, nowMs, awayLine: "2 tasks wait for 1 host that is away: h1" };
    const lines = progressView(request, [stage(0, IN_PROGRESS)], view);
    assert.equal(lines[1], "  2 tasks wait for 1 host that is away: h1");
    assert.equal(lines.length, 3);
  });

  it("fits many stages into the terminal, around the one that runs", () => {
    const stages = Array.from({ length: 100 }, (_, n) =>
      stage(n, n < 50 ? COMPLETED : n === 50 ? IN_PROGRESS : PENDING),
    );
    const lines = progressView(request, stages, { rows: 10, nowMs });
    assert.ok(lines.length <= 9, `${lines.length}`);
    assert.equal(lines[1], "  49 before");
    assert.ok(lines.some((line) => line.startsWith("  ▸ 51  START R50")));
    assert.match(lines.at(-1) ?? "", /^ {2}\d+ to come$/);
  });

  it("marks a stage in which something failed", () => {
    const [, line] = progressView(request, [stage(0, IN_PROGRESS, FAILED)], { rows: 24, nowMs });
    assert.match(line ?? "", /^ {2}✗ 1/);
  });
});

describe("stageTitle()", () => {
  it("names the roles of each verb", () => {
    const roles = ["A", "B"].map((role) => ({ role, roleCommand: RoleCommand.INSTALL }));
    const custom = {
      role: "C",
      roleCommand: RoleCommand.CUSTOM_COMMAND,
      customCommand: "REBALANCE",
    };
    assert.equal(
      stageTitle(create(StageSchema, { roles: [...roles, custom] })),
      "INSTALL A, B, REBALANCE C",
    );
  });
});

describe("outcomeLine()", () => {
  const aborted = { requestId: 7n, status: Status.ABORTED, counts: { aborted: 2 } };
  const line = (more: object) => outcomeLine(create(RequestSchema, { ...aborted, ...more }));

  it("ends with why, as the server says it", () => {
    assert.equal(
      line({ abortReason: "stage 1: A failed on 1 host" }),
      "Request 7 ABORTED: 2 aborted; stage 1: A failed on 1 host",
    );
  });
});

describe("createProgressLines()", () => {
  it("tells each start and end once, and each tenth of a long stage", () => {
    const news = createProgressLines();
    const at = (progressPercent: number) => create(RequestSchema, { ...request, progressPercent });
    const running = [stage(0, IN_PROGRESS)];
    assert.deepEqual(news(at(0), [stage(0, PENDING)], 100_000), []);
    assert.equal(news(at(1), running, 100_000).length, 1);
    assert.deepEqual(news(at(5), running, 106_000), []);
    assert.deepEqual(news(at(12), running, 104_000), []);
    assert.deepEqual(news(at(13), running, 106_000), ["13 %: 1 completed, 1 running, 2 pending"]);
    assert.deepEqual(news(at(14), running, 200_000), []);
    const [end] = news(at(100), [stage(0, COMPLETED)], 200_000);
    assert.match(end ?? "", /^stage 1\/1 START R0: COMPLETED/);
    assert.deepEqual(news(at(100), [stage(0, COMPLETED)], 300_000), []);
  });
});
