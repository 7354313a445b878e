import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { RequestOptionsSchema } from "@howdah/proto/howdah/v1/operation";
import { requestOptions } from "../request-options.js";
import { optionWords } from "./option-words.js";

describe("optionWords()", () => {
  it("says options as a command line says them", () => {
    const said = requestOptions({
      ...{ timeout: durationFromMs(300_000), onFailure: "hold", successFactor: ["DATANODE=0.8"] },
      ...{ retries: "2", retryBackoff: "90s", retryOn: ["failed", "timeout"] },
      ...{ guarantee: "at-least-once", batch: "10%", canary: "1", pause: "250ms" },
      ...{ maxFailures: "5%", maxBatchFailures: "0", onExceeded: "abort", maxInFlight: "20" },
      ...{ exclusive: true, offline: "wait", offlineExpiry: "2h", window: "SUNDAY" },
    });
    assert.equal(
      optionWords(said),
      "--timeout 5m --on-failure hold --success-factor DATANODE=0.8 --retries 2 --retry-backoff 90s --retry-on failed,timeout" +
        " --guarantee at-least-once --batch 10% --canary 1 --pause 250ms --max-failures 5% --max-batch-failures 0" +
        " --on-exceeded abort --max-in-flight 20 --exclusive --offline wait --offline-expiry 2h --window SUNDAY",
    );
    const other = { batch: "3", maxFailures: "2", parallel: true } as const;
    assert.equal(optionWords(requestOptions(other)), "--batch 3 --max-failures 2 --parallel");
    assert.equal(optionWords(requestOptions({ dependencyOrdered: true })), "--dependency-ordered");
  });

  it("says nothing of defaults, and names what only programs can say", () => {
    assert.equal(optionWords(requestOptions({})), "");
    const options = create(RequestOptionsSchema, { roleRetries: { DB: { maxAttempts: 3 } } });
    assert.equal(optionWords(options), "and retries of their own for DB");
  });
});
