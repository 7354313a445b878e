import assert from "node:assert/strict";
import { test } from "node:test";
import { inPlaceRetryMs } from "./in-place-retries.js";

test("a command is tried again in place as long as its parameters say, if they say so", () => {
  const of = (commandParams: Record<string, string>, background = false) =>
    inPlaceRetryMs({ commandParams, background });
  const on = { command_retry_enabled: "true", max_duration_for_retries: "600" };
  assert.equal(of(on), 600_000);
  assert.equal(of(on, true), 0);
  assert.equal(of({ ...on, command_retry_enabled: "false" }), 0);
  assert.equal(of({ command_retry_enabled: "true" }), 0);
  assert.equal(of({ ...on, max_duration_for_retries: "soon" }), 0);
  assert.equal(of({ ...on, max_duration_for_retries: "-5" }), 0);
  assert.equal(inPlaceRetryMs(undefined), 0);
});
