import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { CommandSpecSchema } from "@howdah/proto/howdah/v1/command";
import { RequestOptionsSchema } from "@howdah/proto/howdah/v1/operation";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import type { CreateRequestRequest } from "@howdah/proto/howdah/v1/store_request_creation";
import { createRequestMessages, newRequest } from "./create-request.js";
import type { PlannedRequest } from "./planned-request.js";

/** A request of so many stages, each of one role on so many hosts, whose command has a text of so many bytes. */
function planned(stages: number, hosts: number, commandBytes = 10): PlannedRequest {
  const names = Array.from({ length: hosts }, (_, n) => `h${String(n).padStart(5, "0")}`);
  const spec = create(CommandSpecSchema, { customCommand: "x".repeat(commandBytes) });
  const role = {
    ...{ id: "A-START", role: "A", roleCommand: RoleCommand.START, customCommand: "" },
    ...{ hosts: names, successFactor: 1, spec, blockers: [] },
  };
  return {
    plan: {
      stages: Array.from({ length: stages }, () => ({ roles: [role] })),
      ...{ skippedHosts: [], skippedChecks: [], unchanged: 0 },
    },
    ...{ context: "Start A", clusterId: 1n, unchangedAre: "" },
    hostIds: new Map(names.map((name, n) => [name, BigInt(n + 1)])),
  };
}

const frame = {
  ...{ idempotencyKey: "key", contentDigest: new Uint8Array(32), context: "Start A" },
  ...{ options: create(RequestOptionsSchema), schedulerToken: 7n },
};

async function partsOf(request: PlannedRequest): Promise<CreateRequestRequest["part"][]> {
  const parts: CreateRequestRequest["part"][] = [];
  for await (const { part } of createRequestMessages(newRequest(request, frame), []))
    parts.push(part);
  return parts;
}

describe("createRequestMessages()", () => {
  it("should put a request into one message that has at most 1,000 tasks, 20 stages and 256 KiB of commands", async () => {
    for (const request of [planned(1, 1_000), planned(20, 50), planned(1, 1, 255 << 10)]) {
      const [whole, ...more] = await partsOf(request);
      assert.ok(whole?.case === "whole");
      assert.deepEqual(more, []);
      const { header, stages, tasks } = whole.value;
      assert.equal(header?.idempotencyKey, "key");
      assert.equal(stages.length, request.plan.stages.length);
      assert.equal(tasks.length, stages.length * request.hostIds.size);
    }
  });

  for (const [what, request, chunks] of [
    ["tasks", planned(1, 2_001), [1_000, 1_000, 1]],
    ["stages", planned(21, 1), [21]],
    ["bytes", planned(1, 1, 256 << 10), [1]],
  ] as const) {
    it(`should send one that has more ${what} in parts`, async () => {
      const parts = await partsOf(request);
      assert.deepEqual(
        parts.map((part) => part.case),
        [
          "header",
          ...request.plan.stages.map(() => "stage"),
          ...chunks.map(() => "tasks"),
          "commit",
        ],
      );
      const sent = parts.flatMap((part) => (part.case === "tasks" ? [part.value.tasks] : []));
      assert.deepEqual(
        sent.map((tasks) => tasks.length),
        chunks,
      );
      const last = parts.at(-1);
      assert.ok(last?.case === "commit");
      assert.equal(last.value.taskCount, sent.flat().length);
    });
  }

  it("should carry what is released with it in the one message, as much as the answer can bring", async () => {
    const releases = [{ task: 1, sessionEpoch: 7n }];
    const small = newRequest(planned(1, 1_000), frame);
    const large = newRequest(planned(1, 1_000, 200 << 10), frame);
    assert.ok(small.mostReleases >= 1_000, `${small.mostReleases}`);
    assert.equal(large.mostReleases, 10);
    assert.equal(newRequest(planned(1, 1_001), frame).mostReleases, 0);
    for await (const { part } of createRequestMessages(small, releases)) {
      assert.ok(part.case === "whole");
      const [release] = part.value.releases;
      assert.deepEqual([release?.task, release?.sessionEpoch], [1, 7n]);
    }
  });
});
