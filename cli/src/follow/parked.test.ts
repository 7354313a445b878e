// What is told of requests that wait for a person, while they are followed and when they are looked at.
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { RollingSchema } from "@howdah/proto/howdah/v1/operation";
import { RequestSchema } from "@howdah/proto/howdah/v1/request";
import { Status } from "@howdah/proto/howdah/v1/status";
import { cli, fakeServer } from "../cli-fixture.js";
import { isOutOfBudget, parkedLines } from "./parked.js";

type Told = MessageInitShape<typeof RequestSchema>;

const running: Told = {
  requestId: 12n,
  context: "Restart HDFS",
  status: Status.IN_PROGRESS,
  progressPercent: 5,
  version: 5n,
  options: { rolling: { maxFailures: 2 } },
  counts: { total: 20, completed: 4, failed: 2, inProgress: 2, pending: 12 },
};
const spending: Told = {
  ...running,
  version: 6n,
  paused: true,
  pauseReason: "3 tasks failed, the budget is 2",
  counts: { total: 20, completed: 4, failed: 3, inProgress: 1, pending: 12 },
};
const spent: Told = {
  ...spending,
  version: 7n,
  counts: { total: 20, completed: 5, failed: 3, pending: 12 },
};
const done: Told = {
  ...running,
  version: 9n,
  status: Status.COMPLETED,
  progressPercent: 100,
  counts: { total: 20, completed: 20 },
};

/** A server on which a request goes as told, and stays as it was told last. */
function serverOf(t: TestContext, story: Told[]) {
  return fakeServer(t, {
    fleet: { getCluster: () => ({ cluster: { name: "demo" } }) },
    requests: {
      submitRequest: () => ({ request: running }),
      retryRequest: () => ({ request: { ...running, run: 2 } }),
    },
    store: {
      listTasks: () => ({}),
      getRequest: () => ({ request: story.at(-1) ?? {} }),
      async *watchRequest() {
        for (const request of story) yield { request };
      },
    },
  });
}

const budgetLine =
  "PAUSED: 3 tasks failed, the budget is 2; howdah resume 12 goes on, howdah cancel 12 ends it\n";

describe("a request that waits for a person", () => {
  it("ends its follow when its budget is spent and nothing runs any more, with exit code 1", async (t) => {
    const server = await serverOf(t, [running, spending, spent, done]);
    const result = await cli(["restart", "HDFS", "--batch", "10%", "--max-failures", "2"], {
      server,
    });
    assert.deepEqual(result, {
      exitCode: 1,
      err: "",
      out: `${budgetLine}Request 12 (Restart HDFS) PAUSED: 5 completed, 3 failed, 12 pending\n${budgetLine}`,
    });
  });

  it("ends the follow of a command line as well", async (t) => {
    const server = await serverOf(t, [running, spent, done]);
    const line = ["run", "--hosts", "*", "--max-failures", "2", "--", "false"];
    const { exitCode, out, err } = await cli(line, { server });
    assert.equal(exitCode, 1);
    assert.equal(err, budgetLine);
    assert.ok(out.endsWith(`12 pending\n${budgetLine}`), out);
  });

  it("is followed on with --watch, and told of once", async (t) => {
    const server = await serverOf(t, [running, spending, spent, running, done]);
    const { exitCode, out } = await cli(["request", "12", "--watch"], { server });
    assert.equal(exitCode, 0);
    assert.equal(
      out,
      `${budgetLine}request 12 goes on\nRequest 12 (Restart HDFS) COMPLETED: 20 completed\n`,
    );
  });

  it("is followed on when a person has paused it", async (t) => {
    const paused = { ...running, paused: true, options: {}, counts: { pending: 20 } };
    const server = await serverOf(t, [paused, done]);
    const { exitCode, out } = await cli(["start"], { server });
    assert.equal(exitCode, 0);
    assert.match(out, /^PAUSED; howdah resume 12 goes on/);
  });

  it("is drawn on a terminal with the way out below it", async (t) => {
    const held = { ...running, status: Status.HOLDING_FAILED, counts: { holdingFailed: 2 } };
    const server = await serverOf(t, [held, done]);
    const { out } = await cli(["start"], { server, terminal: true });
    assert.match(
      out,
      /2 waiting for a person\n {2}HOLDING: 2 tasks that failed wait for a person\n {2}howdah resolve 12 --retry runs what failed again, --skip goes on without, --abort gives up\n/,
    );
  });

  it("says what a person is to confirm", async (t) => {
    const asked = {
      ...{ ...running, status: Status.HOLDING, counts: { holding: 1, pending: 2 } },
      options: { confirm: "the load balancer is drained" },
    };
    const server = await serverOf(t, [asked, done]);
    const { out } = await cli(["start"], { server });
    assert.match(
      out,
      /^HOLDING: 1 manual step waits for a person: the load balancer is drained; howdah resolve 12 --skip says that it is done/,
    );
  });

  it("shows why with howdah request, and its run", async (t) => {
    const server = await serverOf(t, [{ ...spent, run: 2 }]);
    const { out } = await cli(["request", "12"], { server });
    assert.ok(out.startsWith("Request 12 (Restart HDFS) PAUSED: 5 completed, 3 failed"), out);
    assert.ok(out.includes(`\n${budgetLine}created `), out);
    assert.match(out, /, run 2\n/);
  });

  it("is not taken for over because of what was true before its retry", async (t) => {
    const before = { ...done, version: 4n, status: Status.FAILED };
    const server = await serverOf(t, [before, running, done]);
    const { exitCode, out } = await cli(["retry", "12"], { server });
    assert.equal(exitCode, 0);
    assert.equal(out, "Request 12 (Restart HDFS) COMPLETED: 20 completed\n");
  });
});

describe("isOutOfBudget()", () => {
  const rolling = (init: MessageInitShape<typeof RollingSchema>) => ({ rolling: init });
  const cases: [string, boolean, Told][] = [
    ["spent", true, spent],
    ["something still runs", false, spending],
    ["a budget of no failure at all", true, { ...spent, options: rolling({ maxFailures: 0 }) }],
    ["a budget in percent", true, { ...spent, options: rolling({ maxFailurePercent: 5 }) }],
    ["a budget of a batch", true, { ...spent, options: rolling({ maxBatchFailures: 0 }) }],
    ["no budget", false, { ...spent, options: rolling({ canary: 1 }) }],
    ["nothing has failed", false, { ...spent, counts: { pending: 20 } }],
    ["resumed", false, { ...spent, paused: false }],
  ];
  for (const [what, expected, request] of cases) {
    it(what, () => assert.equal(isOutOfBudget(create(RequestSchema, request)), expected));
  }
});

describe("parkedLines()", () => {
  const lines = (request: Told) => parkedLines(create(RequestSchema, request));

  it("says how each thing that waits is decided", () => {
    assert.deepEqual(lines({ requestId: 3n, counts: { holding: 1, holdingTimedout: 1 } }), [
      "HOLDING: 1 task that failed waits for a person; howdah resolve 3 --retry runs what failed again, --skip goes on without, --abort gives up",
      "HOLDING: 1 manual step waits for a person; howdah resolve 3 --skip says that it is done, --abort gives up",
    ]);
    assert.deepEqual(lines(running), []);
  });
});
