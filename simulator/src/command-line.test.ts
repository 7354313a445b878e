import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readCommandLine, UsageError } from "./command-line.js";

describe("readCommandLine()", () => {
  it("should have a default for everything but the number of agents", () => {
    assert.deepEqual(readCommandLine(["--agents", "3"]), {
      ...{ agents: 3, servers: [], tls: undefined, prefix: "sim", labels: { simulated: "true" } },
      behaviour: { durationMs: [50, 500], failureRate: 0, outputBytes: 0, seed: 1 },
      ...{ connectRate: 500, reportEveryMs: 5_000, json: false, logLevel: "error" },
    });
    assert.equal(readCommandLine(["--help"]), "help");
  });

  it("should read what is given", () => {
    const line = readCommandLine(
      "--agents 10 --server a:1,[::1]:2 --duration 2s --failure-rate 0.25 --output 100 --seed 7 --label rack=r1".split(
        " ",
      ),
    );
    assert.notEqual(line, "help");
    if (line === "help") return;
    assert.deepEqual(line.servers, ["a:1", "[::1]:2"]);
    assert.deepEqual(line.labels, { simulated: "true", rack: "r1" });
    const wanted = { durationMs: [2_000, 2_000], failureRate: 0.25, outputBytes: 100, seed: 7 };
    assert.deepEqual(line.behaviour, wanted);
  });

  it("should read the files of TLS", () => {
    const words = "--agents 1 --server a:1 --tls-ca ca.pem --tls-cert c.pem --tls-key c.key";
    const line = readCommandLine(words.split(" "));
    assert.ok(line !== "help");
    assert.deepEqual(line.tls, { caFile: "ca.pem", certFile: "c.pem", keyFile: "c.key" });
  });

  for (const [args, message] of [
    ["", /--agents N is needed/],
    ["--agents 0", /--agents "0" must be a whole number, 1 to 99,999/],
    ["--agents 1e3", /--agents "1e3" must be/],
    ["--agents 1 --server here", /--server "here" must be HOST:PORT/],
    ["--agents 1 --duration 5", /--duration "5" must be a duration/],
    ["--agents 1 --duration 2s-1s", /the shorter first/],
    ["--agents 1 --duration 1s-2s-3s", /--duration "1s-2s-3s"/],
    ["--agents 1 --failure-rate 1.1", /--failure-rate "1.1" must be a number from 0 to 1/],
    ["--agents 1 --output -1", /--output/],
    ["--agents 1 --prefix A_b", /--prefix "A_b" must be/],
    ["--agents 1 --label x", /--label "x" must be KEY=VALUE/],
    ["--agents 1 --log-level loud", /--log-level "loud" must be one of/],
    ["--agents 1 --report-every 1ms", /--report-every "1ms" must be a duration/],
    ["--agents 1 --server a:1 --tls-ca ca --tls-cert c", /--tls-cert needs --tls-key/],
    ["--agents 1 --server a:1 --tls-cert c --tls-key k", /--tls-cert needs --tls-ca/],
    ["--agents 1 --tls-ca ca", /--tls-ca needs --server/],
    ["--agents 1 --servers a:1", /'--servers'; --help lists the options/],
  ] as const) {
    it(`should refuse ${args === "" ? "nothing" : args}`, () => {
      assert.throws(
        () => readCommandLine(args.split(" ").filter((word) => word !== "")),
        (error) => {
          assert.ok(error instanceof UsageError);
          assert.match(error.message, message);
          assert.doesNotMatch(error.message, /\n/);
          return true;
        },
      );
    });
  }
});
