import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { StageHeaderSchema } from "@howdah/proto/howdah/v1/store_request_creation";
import type { Knex } from "knex";
import { createStageHeaders } from "./stage-headers.js";

test("stages that were just made need not be read, and a request of very many does not push out those of others", async () => {
  const headers = createStageHeaders();
  const stages = (count: number) =>
    Array.from({ length: count }, (_, stageId) =>
      create(StageHeaderSchema, { stageId, roles: [{ role: `ROLE${stageId}` }] }),
    );
  headers.keep(1, stages(2));
  headers.keep(2, stages(5_000));
  // A database that nobody may ask.
  const none = {} as Knex;
  const keys = [
    { requestId: 1, stageId: 0 },
    { requestId: 1, stageId: 1 },
    { requestId: 2, stageId: 0 },
  ];
  const found = await headers.read(none, keys);
  assert.deepEqual(
    [...found.values()].map(([shared]) => shared?.role.role),
    ["ROLE0", "ROLE1", "ROLE0"],
  );
});
