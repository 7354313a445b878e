import assert from "node:assert/strict";
import { test } from "node:test";
import { retryParams } from "./in-place-retries.js";

const on = { command_retry_enabled: "true" };
const params = (seconds: string) => ({
  ...{ command_retry_enabled: "true", max_duration_for_retries: seconds },
});

/** What cluster-env says, the command, what its parameters are. */
const cases: [Record<string, string>, string, Record<string, string>][] = [
  [{}, "START", {}],
  [{ command_retry_enabled: "false" }, "START", {}],
  [on, "START", params("600")],
  [on, "INSTALL", params("600")],
  [on, "STOP", {}],
  [{ ...on, commands_to_retry: "STOP, restart" }, "STOP", params("600")],
  [{ ...on, commands_to_retry: "STOP, restart" }, "RESTART", params("600")],
  [{ ...on, commands_to_retry: "STOP" }, "START", {}],
  [{ ...on, command_retry_max_time_in_sec: "30" }, "START", params("30")],
  [{ ...on, command_retry_max_time_in_sec: "soon" }, "START", params("600")],
  [{ command_retry_enabled: " True " }, "START", params("600")],
];
for (const [environment, name, expected] of cases) {
  test(`${name} with ${JSON.stringify(environment)}`, () => {
    assert.deepEqual(retryParams(environment, name), expected);
  });
}
