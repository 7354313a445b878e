import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { OnFailure } from "@howdah/proto/howdah/v1/operation";
import type { SubmitRequestRequest } from "@howdah/proto/howdah/v1/request_service";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import type { WatchRequestResponseSchema } from "@howdah/proto/howdah/v1/store_request_reading";
import { cli, type FakeServices, fakeServer } from "../cli-fixture.js";

type Told = MessageInitShape<typeof WatchRequestResponseSchema>;

const times = { startedAt: { seconds: 100n }, endedAt: { seconds: 112n } };
const primary = { role: "MARIADB_PRIMARY", roleCommand: RoleCommand.START };
const replica = { role: "MARIADB_REPLICA", roleCommand: RoleCommand.START };

/** How a start of a primary and two replicas goes, message by message; the last one as the test says. */
function story(last: Told): Told[] {
  const request = (progressPercent: number, status: Status) => ({
    requestId: 7n,
    context: "Start MARIADB",
    status,
    progressPercent,
    counts: { total: 3, pending: 3 },
  });
  const { IN_PROGRESS, PENDING, COMPLETED } = Status;
  return [
    {
      request: request(0, PENDING),
      stages: [
        { stageId: 0, status: PENDING, displayStatus: PENDING, roles: [primary] },
        { stageId: 1, status: PENDING, displayStatus: PENDING, roles: [replica] },
      ],
    },
    {
      request: request(5, IN_PROGRESS),
      stages: [
        {
          stageId: 0,
          status: IN_PROGRESS,
          displayStatus: IN_PROGRESS,
          roles: [primary],
          counts: { total: 1, inProgress: 1 },
        },
        { stageId: 1, status: PENDING, displayStatus: PENDING, roles: [replica] },
      ],
    },
    {
      request: request(40, IN_PROGRESS),
      stages: [
        {
          stageId: 0,
          status: COMPLETED,
          displayStatus: COMPLETED,
          roles: [primary],
          counts: { total: 1, completed: 1 },
          times,
        },
        {
          stageId: 1,
          status: IN_PROGRESS,
          displayStatus: IN_PROGRESS,
          roles: [replica],
          counts: { total: 2, queued: 2 },
        },
      ],
    },
    last,
  ];
}

const good: Told = {
  request: {
    requestId: 7n,
    context: "Start MARIADB",
    status: Status.COMPLETED,
    progressPercent: 100,
    counts: { total: 3, completed: 3 },
    times,
  },
  stages: [
    {
      stageId: 0,
      status: Status.COMPLETED,
      displayStatus: Status.COMPLETED,
      roles: [primary],
      counts: { total: 1, completed: 1 },
      times,
    },
    {
      stageId: 1,
      status: Status.COMPLETED,
      displayStatus: Status.COMPLETED,
      roles: [replica],
      counts: { total: 2, completed: 2 },
      times,
    },
  ],
};

const bad: Told = {
  request: {
    requestId: 7n,
    context: "Start MARIADB",
    status: Status.FAILED,
    progressPercent: 100,
    counts: { total: 3, completed: 2, failed: 1 },
    // Its stages count from 0, those that are shown from 1.
    abortReason: "stage 2: MARIADB_REPLICA failed",
    times,
  },
  stages: [],
};

function services(last: Told, seen: SubmitRequestRequest[] = []): FakeServices {
  return {
    fleet: { getCluster: () => ({ cluster: { name: "demo" } }) },
    requests: {
      submitRequest(message) {
        seen.push(message);
        return { request: { requestId: 7n }, created: true };
      },
    },
    store: {
      async *watchRequest() {
        yield* story(last);
      },
      listTasks: ({ statuses }) => ({
        tasks:
          last === good || !statuses.includes(Status.FAILED)
            ? []
            : [
                {
                  taskId: 21n,
                  hostName: "host3",
                  role: "MARIADB_REPLICA",
                  roleCommand: RoleCommand.START,
                  status: Status.FAILED,
                  exitCode: 1,
                  attempt: 1,
                  stderrLength: 40n,
                },
              ],
      }),
      async *readTaskOutput({ taskId }) {
        const data = new TextEncoder().encode(`task ${taskId}\ncannot reach the primary\n`);
        yield { data, complete: true };
      },
    },
  };
}

describe("howdah start", () => {
  it("asks for the operation, follows it in lines and says how it ended", async (t) => {
    const seen: SubmitRequestRequest[] = [];
    const server = await fakeServer(t, services(good, seen));
    const result = await cli(["start", "MARIADB"], { server });
    assert.deepEqual(result, {
      exitCode: 0,
      err: "",
      out: `stage 1/2 START MARIADB_PRIMARY: started, 1 running
stage 1/2 START MARIADB_PRIMARY: COMPLETED, 1 completed, 12 s
stage 2/2 START MARIADB_REPLICA: started, 2 queued
stage 2/2 START MARIADB_REPLICA: COMPLETED, 2 completed, 12 s
Request 7 (Start MARIADB) COMPLETED: 3 completed, 12 s
`,
    });
    const [message] = seen;
    assert.match(message?.idempotencyKey ?? "", /^cli-[\w-]{36}$/);
    assert.ok(message?.operation?.kind.case === "service");
    const {
      cluster,
      services: names,
      roleCommand,
      skipServiceChecks,
    } = message.operation.kind.value;
    assert.deepEqual(
      { cluster, names, roleCommand, skipServiceChecks },
      {
        cluster: "demo",
        names: ["MARIADB"],
        roleCommand: RoleCommand.START,
        skipServiceChecks: false,
      },
    );
  });

  it("passes on its options", async (t) => {
    const seen: SubmitRequestRequest[] = [];
    const server = await fakeServer(t, services(good, seen));
    const line =
      "restart MARIADB --cluster prod --components A,B --hosts web-* --label rack=1 --no-check --timeout 90s --on-failure skip --key k1 --context why --detach";
    const { out, exitCode } = await cli(line.split(" "), { server });
    assert.equal(out, "request 7; howdah request 7 --watch follows it\n");
    assert.equal(exitCode, 0);
    const [message] = seen;
    assert.equal(message?.idempotencyKey, "k1");
    assert.equal(message?.context, "why");
    assert.equal(message?.options?.onFailure, OnFailure.SKIP);
    assert.equal(message?.options?.timeout?.seconds, 90n);
    assert.ok(message?.operation?.kind.case === "service");
    const { hosts, components, cluster, skipServiceChecks } = message.operation.kind.value;
    assert.deepEqual(hosts?.names, ["web-*"]);
    assert.deepEqual(hosts?.labels, { rack: "1" });
    assert.deepEqual(components, ["A", "B"]);
    assert.equal(cluster, "prod");
    assert.equal(skipServiceChecks, true);
  });

  it("tells what failed, where, the last it wrote, and how to see more, with exit code 1", async (t) => {
    const server = await fakeServer(t, services(bad));
    const { exitCode, out } = await cli(["start"], { server });
    assert.equal(exitCode, 1);
    const end = out.slice(out.indexOf("task 21"));
    assert.equal(
      end,
      `task 21 START MARIADB_REPLICA on host3: FAILED, exit code 1
    task 21
    cannot reach the primary
    all of it: howdah logs 21 --stderr
Request 7 (Start MARIADB) FAILED: 2 completed, 1 failed, 12 s; stage 2: MARIADB_REPLICA failed
howdah retry 7 runs again what is not done
`,
    );
  });

  it("follows through a stream that ends before its time, and tells nothing twice", async (t) => {
    const fake = services(good);
    const messages = story(good);
    let calls = 0;
    fake.store = {
      ...fake.store,
      async *watchRequest() {
        calls += 1;
        if (calls === 2) throw new ConnectError("the store is away", Code.Unavailable);
        const from = calls === 1 ? 0 : 1;
        yield* messages.slice(from, calls === 1 ? 2 : undefined);
        if (calls === 1) throw new ConnectError("too old", Code.Unavailable);
      },
    };
    const { exitCode, out, err } = await cli(["start"], { server: await fakeServer(t, fake) });
    assert.equal(exitCode, 0);
    assert.equal(err, "");
    assert.equal(calls, 3);
    assert.equal(out.split("\n").filter((line) => line.includes("stage 1/2")).length, 2);
  });

  it("answers programs with a line of JSON for each change", async (t) => {
    const server = await fakeServer(t, services(bad));
    const { exitCode, out } = await cli(["start", "--output", "json"], { server });
    assert.equal(exitCode, 1);
    const lines = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.equal(lines.length, 4);
    assert.equal(lines[3].request.requestId, "7");
    assert.equal(lines[3].request.status, "STATUS_FAILED");
  });

  it("draws on a terminal, and leaves the last drawing", async (t) => {
    const server = await fakeServer(t, services(good));
    const { out } = await cli(["start"], { server, terminal: true });
    const last = out.split("\u001b[J").at(-1);
    assert.equal(
      last,
      `Request 7 Start MARIADB  ████████████████████ 100 %  3 completed  12 s
  ✓ 1  START MARIADB_PRIMARY  1/1  12 s
  ✓ 2  START MARIADB_REPLICA  2/2  12 s
Request 7 (Start MARIADB) COMPLETED: 3 completed, 12 s
`,
    );
  });

  it("asks again under the same key when the answer is lost", async (t) => {
    const keys: string[] = [];
    const fake = services(good);
    fake.requests = {
      submitRequest({ idempotencyKey }) {
        keys.push(idempotencyKey);
        if (keys.length === 1) throw new ConnectError("gone", Code.Unavailable);
        return { request: { requestId: 7n } };
      },
    };
    const { exitCode } = await cli(["start"], { server: await fakeServer(t, fake) });
    assert.equal(exitCode, 0);
    assert.equal(keys.length, 2);
    assert.equal(keys[0], keys[1]);
  });

  it("says on Ctrl-C that the request goes on, with exit code 130", async (t) => {
    const fake = services(good);
    fake.store = {
      ...fake.store,
      async *watchRequest(_, { signal }) {
        yield* story(good).slice(0, 2);
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      },
    };
    const interrupt = new AbortController();
    const { exitCode, err } = await cli(["start"], {
      server: await fakeServer(t, fake),
      interrupted: interrupt.signal,
      onOutput: () => interrupt.abort(),
    });
    assert.equal(exitCode, 130);
    assert.equal(
      err,
      "howdah: request 7 goes on; howdah request 7 --watch follows it, howdah cancel 7 stops it\n",
    );
  });

  it("names hosts that are left out", async (t) => {
    const fake = services(good);
    const skippedHosts = ["a", "b", "c", "d", "e"].map((hostName) => ({
      hostName,
      reason: "lost",
    }));
    fake.requests = { submitRequest: () => ({ request: { requestId: 7n, skippedHosts } }) };
    const { err } = await cli(["start"], { server: await fakeServer(t, fake) });
    assert.equal(err, "5 hosts are left out: a (lost), b (lost), c (lost) and 2 more\n");
  });
});
