// The verbs with which a person steers a request: retry, pause, resume, resolve; and why, which tells what it waits for.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  ExplainTaskResponseSchema,
  Resolution,
  type ResolveTasksRequest,
  type RetryRequestRequest,
} from "@howdah/proto/howdah/v1/request_service";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import { cli, fakeServer } from "../cli-fixture.js";
import { localTimeMs } from "../text/words.js";
import { whyPage } from "./why.js";

const request = {
  requestId: 12n,
  context: "Start HDFS",
  status: Status.IN_PROGRESS,
  counts: { total: 3, completed: 1, pending: 2 },
};

describe("howdah retry", () => {
  it("runs what failed on some hosts again and follows the new run", async (t) => {
    const seen: RetryRequestRequest[] = [];
    const done = { ...request, status: Status.COMPLETED, progressPercent: 100, run: 2 };
    const server = await fakeServer(t, {
      requests: {
        retryRequest(message) {
          seen.push(message);
          return { request: { ...request, run: 2 } };
        },
      },
      store: {
        listTasks: () => ({}),
        async *watchRequest() {
          yield { request: done };
        },
      },
    });
    const line = "retry 12 --hosts db-[01-03] --label rack=1 --force";
    const { exitCode, out } = await cli(line.split(" "), { server });
    assert.equal(exitCode, 0);
    assert.equal(out, "Request 12 (Start HDFS) COMPLETED: 1 completed, 2 pending\n");
    const { hosts, force } = seen[0] ?? {};
    assert.deepEqual([hosts?.names, hosts?.labels, force], [["db-[01-03]"], { rack: "1" }, true]);
    const detached = await cli(["retry", "12", "-d"], { server });
    assert.equal(detached.out, "request 12; howdah request 12 --watch follows it\n");
    assert.equal(seen[1]?.force, false);
    const json = await cli(["retry", "12", "-d", "--output", "json"], { server });
    assert.deepEqual(Object.keys(JSON.parse(json.out)), ["request"]);
  });

  it("is refused in one line while the request runs, with exit code 4", async (t) => {
    const server = await fakeServer(t, {
      requests: {
        retryRequest() {
          throw new ConnectError("request 12 is still running", Code.FailedPrecondition);
        },
      },
    });
    const result = await cli(["retry", "12"], { server });
    assert.deepEqual(result, {
      exitCode: 4,
      out: "",
      err: "howdah: request 12 is still running\n",
    });
  });
});

describe("howdah pause, resume", () => {
  it("say how the request is and how to go on", async (t) => {
    const server = await fakeServer(t, {
      requests: {
        pauseRequest: () => ({ request: { ...request, paused: true, pauseReason: "by admin" } }),
        resumeRequest: () => ({ request }),
      },
    });
    const paused = await cli(["pause", "12"], { server });
    assert.deepEqual(paused, {
      exitCode: 0,
      err: "",
      out: `Request 12 (Start HDFS) PAUSED: 1 completed, 2 pending
PAUSED: by admin; howdah resume 12 goes on, howdah cancel 12 ends it
`,
    });
    const resumed = await cli(["resume", "12"], { server });
    assert.equal(
      resumed.out,
      `request 12 goes on; howdah request 12 --watch follows it
Request 12 (Start HDFS) IN_PROGRESS: 1 completed, 2 pending
`,
    );
    const json = await cli(["pause", "12", "--output", "json"], { server });
    assert.equal(JSON.parse(json.out).request.pauseReason, "by admin");
  });

  it("does not say that a request goes on that waits for a person for another reason", async (t) => {
    const held = {
      ...{ ...request, status: Status.HOLDING_FAILED },
      counts: { total: 3, completed: 2, holdingFailed: 1 },
    };
    const server = await fakeServer(t, { requests: { resumeRequest: () => ({ request: held }) } });
    const { out } = await cli(["resume", "12"], { server });
    assert.equal(
      out,
      `request 12 is not paused
Request 12 (Start HDFS) HOLDING_FAILED: 2 completed, 1 waiting for a person
HOLDING: 1 task that failed waits for a person; howdah resolve 12 --retry runs what failed again, --skip goes on without, --abort gives up
`,
    );
  });
});

describe("howdah resolve", () => {
  it("says one thing about some tasks, or about all that wait", async (t) => {
    const seen: ResolveTasksRequest[] = [];
    const server = await fakeServer(t, {
      requests: {
        resolveTasks(message) {
          seen.push(message);
          return { request, resolved: 2 };
        },
      },
    });
    const lines = ["resolve 12 --retry 21 22", "resolve 12 --skip", "resolve 12 --abort"];
    for (const line of lines) {
      const { exitCode, out } = await cli(line.split(" "), { server });
      assert.equal(exitCode, 0);
      assert.match(out, /^2 tasks resolved; howdah request 12 --watch follows what comes of it\n/);
    }
    assert.deepEqual(
      seen.map(({ requestId, taskIds, resolution }) => [requestId, taskIds, resolution]),
      [
        [12n, [21n, 22n], Resolution.RETRY],
        [12n, [], Resolution.SKIP],
        [12n, [], Resolution.ABORT],
      ],
    );
  });

  it("wants exactly one thing said, before it calls anybody", async () => {
    for (const line of ["resolve 12", "resolve 12 --retry --abort"]) {
      const { exitCode, err } = await cli(line.split(" "));
      assert.equal(exitCode, 2);
      assert.equal(err, "howdah: say one of --retry, --skip and --abort\n");
    }
    const { exitCode, err } = await cli(["resolve", "12", "--skip", "host1"]);
    assert.equal(exitCode, 2);
    assert.match(err, /'host1' is invalid .* It is a number from 1\./);
  });
});

describe("howdah why", () => {
  const task = {
    taskId: 21n,
    role: "DATANODE",
    roleCommand: RoleCommand.START,
    hostName: "host3",
    attempt: 2,
  };

  it("tells what a task waits for and since when", async (t) => {
    const server = await fakeServer(t, {
      requests: {
        explainTask: ({ taskId }) => ({
          task: { ...task, taskId, status: Status.PENDING },
          waits: [
            { kind: "HOST_LOST", text: "host3 is lost", waitedMs: 200_000n },
            { kind: "STAGE", text: "stage 1 is not done: 3 of 5 tasks are", waitedMs: 0n },
          ],
        }),
      },
    });
    const { exitCode, out } = await cli(["why", "21"], { server });
    assert.equal(exitCode, 0);
    assert.match(
      out,
      /^task 21 START DATANODE on host3: PENDING, attempt 2\nwaits: host3 is lost, for 3 min 20 s, since 2\d{3}-\d\d-\d\d \d\d:\d\d:\d\d\nwaits: stage 1 is not done: 3 of 5 tasks are\n$/,
    );
  });

  it("shows the milliseconds between the moments of the attempt", () => {
    const at = (ms: number) => `${localTimeMs(1_700_000_000_000)}.${String(ms).padStart(3, "0")}`;
    const ledger = [
      { moment: "CREATED", atMs: 1_700_000_000_001n },
      { moment: "QUEUED", atMs: 1_700_000_000_013n },
      { moment: "STARTED", atMs: 1_700_000_000_010n },
      { moment: "ENDED", atMs: 1_700_000_000_900n },
      { moment: "REPORTED", atMs: 1_700_000_000_907n },
    ];
    const answer = { task: { ...task, status: Status.COMPLETED }, ledger };
    assert.equal(
      whyPage(create(ExplainTaskResponseSchema, answer)),
      `task 21 START DATANODE on host3: COMPLETED, attempt 2
MOMENT    AT                       AFTER   CLOCK
CREATED   ${at(1)}          server
QUEUED    ${at(13)}  12 ms   server
STARTED   ${at(10)}  -3 ms   agent
ENDED     ${at(900)}  890 ms  agent
REPORTED  ${at(907)}  7 ms    server
`,
    );
  });

  it("names the command that decides where a person must", () => {
    const held = { ...task, requestId: 12n };
    const page = (status: Status, kind = "HOLD") =>
      whyPage(create(ExplainTaskResponseSchema, { task: { ...held, status }, waits: [{ kind }] }));
    const failed =
      /\nhowdah resolve 12 21 --retry runs it again, --skip goes on without, --abort gives up\n$/;
    assert.match(page(Status.HOLDING_FAILED), failed);
    assert.match(page(Status.HOLDING_TIMEDOUT), failed);
    assert.match(
      page(Status.HOLDING),
      /\nhowdah resolve 12 21 --skip says that it is done, --abort/,
    );
    assert.match(page(Status.PENDING, "PAUSE"), /\nhowdah resume 12 goes on\n$/);
    assert.match(
      page(Status.UNKNOWN, "AGENT"),
      /\nit may have run: look on host3; howdah retry 12 /,
    );
    assert.doesNotMatch(page(Status.PENDING, "STAGE"), /howdah/);
  });

  it("says that a task waits for nothing only while it has not ended", () => {
    const page = (status: Status) =>
      whyPage(create(ExplainTaskResponseSchema, { task: { ...task, status } }));
    assert.match(page(Status.IN_PROGRESS), /\nit waits for nothing\n$/);
    assert.doesNotMatch(page(Status.FAILED), /waits/);
  });
});
