import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import type { PurgeRequestsRequest } from "@howdah/proto/howdah/v1/store_purge";
import { cli, fakeServer } from "../cli-fixture.js";

const part = { requests: 40n, tasks: 20_000n, outputBytes: 5n << 20n };
const whole = {
  ...part,
  requests: 41n,
  packages: 2n,
  packageBytes: 3_000n,
  alertChanges: 3n,
  done: true,
};

function serve(t: TestContext, seen: PurgeRequestsRequest[] = []): Promise<string> {
  return fakeServer(t, {
    store: {
      async *purgeRequests(request) {
        seen.push(request);
        yield part;
        yield { ...whole, ...(request.dryRun && { outputBytes: 0n }) };
      },
    },
  });
}

describe("howdah purge", () => {
  it("tells what was deleted, and what would be", async (t) => {
    const seen: PurgeRequestsRequest[] = [];
    const server = await serve(t, seen);
    const { out, exitCode } = await cli(["purge", "--older-than", "90d"], { server });
    assert.match(
      out,
      /^deleted 41 requests with 20000 tasks and 5\.0 MiB of output, 2 packages and documents of 2\.9 KiB, 3 changes of alerts, of before .*\n$/,
    );
    assert.equal(exitCode, 0);
    const dry = await cli(["purge", "--older-than", "36h", "--dry-run"], { server });
    assert.match(dry.out, /^would delete 41 requests with 20000 tasks, 2 packages/);
    assert.deepEqual(
      seen.map(({ olderThan, dryRun }) => [olderThan?.seconds, dryRun]),
      [
        [7_776_000n, false],
        [129_600n, true],
      ],
    );
  });

  it("answers programs with a line for each step", async (t) => {
    const server = await serve(t);
    const { out } = await cli(["purge", "--older-than", "90d", "--output", "json"], { server });
    const lines = out.trimEnd().split("\n");
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).done),
      [false, true],
    );
  });

  it("refuses an age that cannot be, with exit code 2", async () => {
    for (const [age, problem] of [
      ["90", "Write it as 90d, 36h or 12.5h."],
      ["-3d", "Write it as 90d, 36h or 12.5h."],
      ["soon", "Write it as 90d, 36h or 12.5h."],
      ["59m", "It must be 1h at least."],
      ["99999d", "That is longer ago than 1970."],
    ] as const) {
      const { exitCode, err } = await cli(["purge", `--older-than=${age}`]);
      assert.equal(exitCode, 2, age);
      assert.ok(err.includes(`'${age}' is invalid. ${problem}`), err);
    }
    const missing = await cli(["purge"]);
    assert.equal(missing.exitCode, 2);
    assert.match(missing.err, /required option '--older-than <age>'/);
  });

  it("says that it stopped when it is interrupted, and when the server refuses", async (t) => {
    const stop = new AbortController();
    const server = await fakeServer(t, {
      store: {
        async *purgeRequests({ dryRun }, { signal }) {
          if (dryRun) throw new ConnectError("no", Code.PermissionDenied);
          yield part;
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
        },
      },
    });
    const args = ["purge", "--older-than", "90d"];
    const { exitCode, err } = await cli([...args, "--output", "json"], {
      server,
      interrupted: stop.signal,
      onOutput: () => stop.abort(),
    });
    assert.equal(exitCode, 130);
    assert.equal(err, "howdah: stopped; the same command goes on\n");
    assert.equal((await cli([...args, "--dry-run"], { server })).exitCode, 4);
  });
});
