import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type Concurrency,
  ExecutionType,
  Guarantee,
  OfflinePolicy,
  OnExceeded,
  RequestOptionsSchema,
  RetryCause,
} from "@howdah/proto/howdah/v1/operation";
import { checkOptions } from "./check-options.js";

type Options = MessageInitShape<typeof RequestOptionsSchema>;

const bad: [string, Options, RegExp][] = [
  [
    "an end of no wait",
    { offlineExpiry: { seconds: 60n } },
    /options.offline_expiry: no host is waited for; give offline_policy WAIT too/,
  ],
  [
    "a wait of nothing",
    { offlinePolicy: OfflinePolicy.WAIT, offlineExpiry: {} },
    /options.offline_expiry: 0s will not do; give whole milliseconds from 1s/,
  ],
  [
    "too many attempts",
    { retry: { maxAttempts: 101 } },
    /options.retry.max_attempts: 101 .* 1 to 100/,
  ],
  ["fewer than none", { retry: { maxAttempts: -1 } }, /options.retry.max_attempts: -1 /],
  [
    "a role's attempts",
    { roleRetries: { DB: { maxAttempts: 500 } } },
    /options.role_retries.DB.max_attempts: 500/,
  ],
  ["no role", { roleRetries: { "": {} } }, /options.role_retries: has an empty role name/],
  [
    "a negative back-off",
    { retry: { backoff: { seconds: -1n } } },
    /options.retry.backoff: -1s will not do; give whole milliseconds from 0s/,
  ],
  [
    "a back-off less than nothing",
    { retry: { backoff: { nanos: -1_000_000 } } },
    /options.retry.backoff: -0.001s/,
  ],
  [
    "a longest back-off below the first",
    { retry: { backoff: { seconds: 10n }, maxBackoff: { seconds: 5n } } },
    /options.retry.max_backoff: 5000 ms is less than the first pause of 10000 ms/,
  ],
  ["no cause", { retry: { causes: [RetryCause.UNSPECIFIED] } }, /causes: UNSPECIFIED is no cause/],
  [
    "what the guarantee forbids",
    { retry: { causes: [RetryCause.INTERRUPTED] }, guarantee: Guarantee.AT_MOST_ONCE },
    /causes: INTERRUPTED is never retried with the guarantee AT_MOST_ONCE/,
  ],
  ["a canary below 0", { rolling: { canary: -1 } }, /rolling.canary: -1 is less than 0/],
  [
    "an empty batch",
    { rolling: { batch: { case: "batchSize", value: 0 } } },
    /rolling.batch_size: 0 is less than 1/,
  ],
  [
    "no percent",
    { rolling: { batch: { case: "batchPercent", value: 0 } } },
    /rolling.batch_percent: 0 is not between 1 and 100/,
  ],
  [
    "more than all",
    { rolling: { batch: { case: "batchPercent", value: 101 } } },
    /rolling.batch_percent: 101/,
  ],
  [
    "a budget over 100 %",
    { rolling: { maxFailurePercent: 101 } },
    /max_failure_percent: 101 is not/,
  ],
  ["a budget below 0", { rolling: { maxFailures: -1 } }, /max_failures: -1 is less than 0/],
  ["a batch's below 0", { rolling: { maxBatchFailures: -2 } }, /max_batch_failures: -2/],
  ["rolling that says nothing", { rolling: {} }, /options.rolling: says nothing/],
  [
    "a pause between one batch",
    { rolling: { maxFailures: 1, pause: { seconds: 1n } } },
    /rolling.pause: there is one batch only/,
  ],
  [
    "a budget's end without a budget",
    { rolling: { canary: 1, onExceeded: OnExceeded.ABORT } },
    /rolling.on_exceeded: there is no failure budget/,
  ],
  [
    "batches without barriers",
    { rolling: { canary: 1 }, executionType: ExecutionType.DEPENDENCY_ORDERED },
    /options.rolling: goes with stages/,
  ],
  [
    "a manual step without barriers",
    { confirm: "ready?", executionType: ExecutionType.DEPENDENCY_ORDERED },
    /options.confirm: goes with stages/,
  ],
  ["a manual step without words", { confirm: " " }, /options.confirm: must be 1 to 255 characters/],
  [
    "a manual step of many words",
    { confirm: "x".repeat(256) },
    /options.confirm: must be 1 to 255/,
  ],
  ["a cap below 0", { maxInFlight: -1 }, /options.max_in_flight: -1 is less than 0/],
  [
    "an unknown concurrency",
    { concurrency: 9 as Concurrency },
    /options.concurrency: 9 is not a known value/,
  ],
];

describe("checkOptions()", () => {
  for (const [name, options, message] of bad) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => checkOptions(create(RequestOptionsSchema, options)),
        (error: unknown) => {
          const { code, rawMessage } = ConnectError.from(error);
          assert.match(rawMessage, message);
          return code === Code.InvalidArgument;
        },
      );
    });
  }

  it("takes what makes sense together", () => {
    const retry = { maxAttempts: 100, backoff: { seconds: 0n }, causes: [RetryCause.FAILED] };
    checkOptions(create(RequestOptionsSchema, { retry, roleRetries: { "DB-START": retry } }));
  });
});
