import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toJson } from "@bufbuild/protobuf";
import { RequestOptionsSchema } from "@howdah/proto/howdah/v1/operation";
import type { SubmitRequestRequest } from "@howdah/proto/howdah/v1/request_service";
import { cli, fakeServer } from "./cli-fixture.js";
import { type RequestFlags, requestOptions } from "./request-options.js";

function asJson(flags: RequestFlags) {
  return toJson(RequestOptionsSchema, requestOptions(flags));
}

describe("requestOptions()", () => {
  it("states nothing that nobody asked for", () => {
    assert.deepEqual(asJson({}), {});
    assert.deepEqual(asJson({ retries: "0" }), {});
  });

  it("makes portions and budgets of counts and of percents", () => {
    const counts = { batch: "20", canary: "1", pause: "30s", maxFailures: "0" };
    assert.deepEqual(asJson({ ...counts, maxBatchFailures: "2", onExceeded: "abort" }), {
      rolling: {
        batchSize: 20,
        canary: 1,
        pause: "30s",
        maxFailures: 0,
        maxBatchFailures: 2,
        onExceeded: "ON_EXCEEDED_ABORT",
      },
    });
    assert.deepEqual(asJson({ batch: "100%", maxFailures: "5%" }), {
      rolling: { batchPercent: 100, maxFailurePercent: 5 },
    });
    assert.deepEqual(asJson({ maxFailures: "2" }), { rolling: { maxFailures: 2 } });
  });

  it("makes one attempt more than retries", () => {
    const retryOn = ["failed", "timeout", "interrupted"];
    assert.deepEqual(asJson({ retries: "2", retryBackoff: "1.5s", retryOn }), {
      retry: {
        maxAttempts: 3,
        backoff: "1.500s",
        causes: ["RETRY_CAUSE_FAILED", "RETRY_CAUSE_TIMED_OUT", "RETRY_CAUSE_INTERRUPTED"],
      },
    });
  });
});

describe("the options of a request", () => {
  it("are the same for services, custom commands, command lines and plans", async (t) => {
    const seen: Pick<SubmitRequestRequest, "operation" | "options">[] = [];
    const server = await fakeServer(t, {
      fleet: { getCluster: () => ({ cluster: { name: "demo" } }) },
      requests: {
        submitRequest(message) {
          seen.push(message);
          return { request: { requestId: 7n } };
        },
        planRequest(message) {
          seen.push(message);
          return {};
        },
      },
    });
    const options =
      "--guarantee at-least-once --exclusive --max-in-flight 50 --offline wait --offline-expiry 1h --dependency-ordered --success-factor DATANODE=0.8 --success-factor NAMENODE=1 --retries 1";
    const lines = [
      `restart HDFS ${options} --detach`,
      `command NAMENODE REBALANCEHDFS ${options} --param threshold=10 --param a=b=c --detach`,
      `run --hosts * ${options} --detach -- uptime`,
      `plan restart HDFS ${options}`,
    ];
    for (const line of lines) {
      const { exitCode, err } = await cli(line.split(" "), { server });
      assert.deepEqual([exitCode, err], [0, ""], line);
    }
    const expected = {
      guarantee: "GUARANTEE_AT_LEAST_ONCE",
      concurrency: "CONCURRENCY_EXCLUSIVE",
      maxInFlight: 50,
      offlinePolicy: "OFFLINE_POLICY_WAIT",
      offlineExpiry: "3600s",
      executionType: "EXECUTION_TYPE_DEPENDENCY_ORDERED",
      successFactors: { DATANODE: 0.8, NAMENODE: 1 },
      retry: { maxAttempts: 2 },
    };
    const told = seen.map(({ options }) => options && toJson(RequestOptionsSchema, options));
    const adHoc = { ...expected, onFailure: "ON_FAILURE_CONTINUE" };
    assert.deepEqual(told, [expected, expected, adHoc, expected]);
    assert.ok(seen[1]?.operation?.kind.case === "customCommand");
    const { cluster, component, command, parameters } = seen[1].operation.kind.value;
    assert.deepEqual([cluster, component, command], ["demo", "NAMENODE", "REBALANCEHDFS"]);
    assert.deepEqual(parameters, { threshold: "10", a: "b=c" });
  });

  it("are refused in one line, with exit code 2, before anything is sent", async () => {
    const cases: [string, string][] = [
      [
        "--parallel --exclusive",
        "--parallel and --exclusive contradict each other; give one of them",
      ],
      [
        "--dependency-ordered --canary 1",
        "--dependency-ordered and batches contradict each other: those go with stages",
      ],
      [
        "--dependency-ordered --max-failures 1",
        "--dependency-ordered and failure budgets contradict each other: those go with stages",
      ],
      ["--batch 0", '--batch: "0" is less than 1'],
      ["--batch 0%", '--batch: "0%" is less than 1'],
      ["--batch 101%", '--batch: "101%" is more than 100%'],
      ["--batch 2.5%", '--batch: "2.5%" will not do; write a whole number, or a share such as 10%'],
      ["--max-failures 120%", '--max-failures: "120%" is more than 100%'],
      ["--canary 0", '--canary: "0" is no whole number from 1 to 1000000'],
      ["--pause 30s", "--pause says nothing without --batch or --canary"],
      ["--batch 5 --pause 30", '--pause: "30" is no duration; write it as 30s, 5m or 2h'],
      ["--max-batch-failures 1", "--max-batch-failures says nothing without --batch or --canary"],
      [
        "--batch 5 --on-exceeded abort",
        "--on-exceeded says nothing without --max-failures or --max-batch-failures",
      ],
      ["--retries 100", '--retries: "100" is no whole number from 0 to 99'],
      ["--retry-backoff 5s", "--retry-backoff says nothing without --retries, from 1"],
      ["--retry-on failed --retries 0", "--retry-on says nothing without --retries, from 1"],
      [
        "--retries 1 --retry-on constructor",
        '--retry-on: "constructor" is none of failed, timeout, interrupted',
      ],
      [
        "--retries 1 --retry-on interrupted --guarantee at-most-once",
        "--retry-on interrupted and --guarantee at-most-once contradict each other: what was interrupted may have run",
      ],
      ["--max-in-flight 0", '--max-in-flight: "0" is no whole number from 1 to 1000000'],
      ["--offline-expiry 1h", "--offline-expiry says nothing without --offline wait"],
      [
        "--offline skip --offline-expiry 1h",
        "--offline-expiry says nothing without --offline wait",
      ],
      ["--success-factor A=1.2", '--success-factor: "1.2" is no share from 0 to 1, such as 0.8'],
      ["--success-factor 0.8", '--success-factor: "0.8" will not do; write it as ROLE=0.8'],
      [
        "--success-factor A=1 --success-factor A=0",
        '--success-factor: "A=0" is the second for A; give one',
      ],
    ];
    for (const [options, message] of cases) {
      const { exitCode, err, out } = await cli(["restart", "HDFS", ...options.split(" ")]);
      // With a call it would be 3: there is no server.
      assert.deepEqual([exitCode, out, err], [2, "", `howdah: ${message}\n`], options);
    }
  });

  it("say that the server cannot do it, in one line", async (t) => {
    const server = await fakeServer(t, {});
    for (const line of ["pause 7", "resume 7", "retry 7", "resolve 7 --skip", "why 7"]) {
      const { exitCode, err } = await cli(line.split(" "), { server });
      assert.equal(exitCode, 4, line);
      assert.match(err, /^howdah: howdah\.v1\.RequestService\.\w+ is not implemented\n$/);
    }
  });
});
