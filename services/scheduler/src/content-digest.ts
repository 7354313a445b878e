import { createHash } from "node:crypto";
import { type JsonValue, toJson } from "@bufbuild/protobuf";
import {
  type SubmitRequestRequest,
  SubmitRequestRequestSchema,
} from "@howdah/proto/howdah/v1/request_service";

/** What an idempotency key stands for: everything that was asked, the key itself aside, whatever the order of its maps. */
export function contentDigest(request: SubmitRequestRequest): Uint8Array {
  const json = toJson(SubmitRequestRequestSchema, { ...request, idempotencyKey: "" });
  return createHash("sha256")
    .update(JSON.stringify(sorted(json)))
    .digest();
}

function sorted(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, each]) => [key, sorted(each)]));
}
