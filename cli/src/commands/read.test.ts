// The verbs that only read: hosts, requests, tasks, logs.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import { HostState } from "@howdah/proto/howdah/v1/fleet";
import type { ListHostsRequest } from "@howdah/proto/howdah/v1/fleet_service";
import { TaskSchema } from "@howdah/proto/howdah/v1/request";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import { cli, fakeServer } from "../cli-fixture.js";
import { localTimeMs } from "../text/words.js";
import { taskTable } from "./tasks.js";

describe("howdah hosts", () => {
  const names = Array.from({ length: 120 }, (_, n) => `web-${n + 1}`);
  const fleet = {
    listHosts({ pageSize, pageToken, state }: ListHostsRequest) {
      const from = Number(pageToken);
      const shown = state === HostState.HEARTBEAT_LOST ? names.slice(0, 1) : names;
      const hosts = shown.slice(from, from + pageSize).map((hostName, n) => ({
        hostName,
        hostId: 1n,
        state: n === 0 ? HostState.HEARTBEAT_LOST : HostState.HEALTHY,
        connected: n > 1,
        labels: { rack: "r1" },
        agentVersion: "0.1.0",
      }));
      const next = from + pageSize;
      return { hosts, nextPageToken: next < names.length ? String(next) : "" };
    },
  };

  it("shows the first of many, counts all, and says how to see the others", async (t) => {
    const server = await fakeServer(t, { fleet });
    const lines = (await cli(["hosts", "--limit", "3"], { server })).out.split("\n");
    assert.deepEqual(lines, [
      "HOST   STATE           SINCE  AGENT  ADDRESS  LABELS",
      "web-1  HEARTBEAT_LOST         0.1.0           rack=r1",
      "web-2  AWAY                   0.1.0           rack=r1",
      "web-3  HEALTHY                0.1.0           rack=r1",
      "120 hosts, 2 lost, 2 away",
      "the first 3 are shown: --all, --lost or a selector shows others",
      "",
    ]);
  });

  it("shows the lost ones alone when asked", async (t) => {
    const server = await fakeServer(t, { fleet });
    assert.deepEqual((await cli(["hosts", "--lost"], { server })).out.split("\n").slice(1), [
      "web-1  HEARTBEAT_LOST         0.1.0           rack=r1",
      "1 host, 1 lost",
      "",
    ]);
  });

  it("reads every page when all are asked for, and for programs", async (t) => {
    const server = await fakeServer(t, { fleet });
    const { out } = await cli(["hosts", "--all"], { server });
    assert.equal(out.split("\n").length, 120 + 3);
    const lines = (await cli(["hosts", "--output", "json"], { server })).out.trim().split("\n");
    assert.equal(lines.length, 120);
    assert.equal(JSON.parse(lines[119] ?? "").hostId, "1");
  });
});

describe("howdah hosts of names", () => {
  it("names those that no agent has registered as; a pattern may match nothing", async (t) => {
    const server = await fakeServer(t, {
      fleet: {
        listHosts: ({ selector }) => ({
          hosts: selector?.names[0]?.startsWith("web-1") ? [{ hostName: "web-1" }] : [],
        }),
      },
    });
    const err = "howdah: no agent has ever registered as nosuch; check the spelling\n";
    for (const names of ["nosuch", "web-1,nosuch"]) {
      assert.deepEqual(await cli(["hosts", names], { server }), { exitCode: 4, out: "", err });
    }
    for (const selector of ["nosuch*", "nosuch-[1-2]"]) {
      const { exitCode, out } = await cli(["hosts", selector], { server });
      assert.deepEqual([exitCode, out], [0, "no hosts\n"]);
    }
    assert.equal((await cli(["hosts", "web-1"], { server })).exitCode, 0);
  });
});

describe("howdah requests, request, tasks", () => {
  const request = {
    requestId: 12n,
    context: "Start MARIADB",
    status: Status.FAILED,
    displayStatus: Status.FAILED,
    progressPercent: 100,
    cluster: "demo",
    counts: { total: 3, completed: 2, failed: 1 },
    times: { startedAt: { seconds: 0n }, endedAt: { seconds: 200n } },
  };

  it("says which schedule made a request, and for when", async (t) => {
    const made = { ...request, idempotencyKey: "schedule/3/1767225600000" };
    const server = await fakeServer(t, {
      store: { getRequest: () => ({ request: made }), listTasks: () => ({}) },
    });
    const { out } = await cli(["request", "12"], { server });
    assert.ok(out.includes(`\nmade by schedule 3, due ${localTimeMs(1_767_225_600_000)}\n`), out);
  });

  it("lists requests", async (t) => {
    const server = await fakeServer(t, {
      store: { listRequests: ({ pageSize }) => ({ requests: pageSize === 5 ? [request] : [] }) },
    });
    const { out } = await cli(["requests", "--limit", "5"], { server });
    assert.equal(
      out,
      `ID  STATUS  DONE   TASKS  FAILED  CREATED  TOOK        CLUSTER  CONTEXT
12  FAILED  100 %  3/3    1                3 min 20 s  demo     Start MARIADB
`,
    );
  });

  it("shows a request with at most thirty stages", async (t) => {
    const stages = Array.from({ length: 40 }, (_, stageId) => ({
      stageId,
      status: Status.COMPLETED,
      displayStatus: Status.COMPLETED,
      roles: [{ role: "A", roleCommand: RoleCommand.START }],
      counts: { total: 1, completed: 1 },
    }));
    const server = await fakeServer(t, {
      store: { getRequest: () => ({ request, stages }), listTasks: () => ({}) },
    });
    const few = (await cli(["request", "12"], { server })).out;
    assert.match(few, /^Request 12 \(Start MARIADB\) FAILED: 2 completed, 1 failed, 3 min 20 s\n/);
    assert.match(few, /\nhowdah retry 12 runs again what is not done\n/);
    assert.match(few, /\n30 +START A +COMPLETED +1 completed\nand 10 more stages: --all\n$/);
    assert.match((await cli(["request", "12", "--all"], { server })).out, /\n40 +START A/);
  });

  it("lists tasks by status, host and stage", async (t) => {
    const seen: unknown[] = [];
    const server = await fakeServer(t, {
      store: {
        listTasks({ statuses, hostName, stageId }) {
          seen.push({ statuses, hostName, stageId });
          return {
            tasks: [
              {
                taskId: 9n,
                stageId: 1,
                hostName: "host1",
                role: "A",
                roleCommand: RoleCommand.START,
                status: Status.FAILED,
                exitCode: 1,
                attempt: 2,
                reason: "no such\nfile",
              },
            ],
          };
        },
      },
    });
    const { out } = await cli(
      ["tasks", "12", "--status", "failed,QUEUED", "--host", "host1", "--stage", "2"],
      { server },
    );
    assert.deepEqual(seen, [
      { statuses: [Status.FAILED, Status.QUEUED], hostName: "host1", stageId: 1 },
    ]);
    assert.equal(
      out,
      `TASK  STAGE  HOST   WHAT     STATUS  EXIT  ATTEMPT  TOOK  REASON
9     2      host1  START A  FAILED  1     2              no such file
`,
    );
  });

  it("shows each attempt with its own times, exit code and reason", async (t) => {
    const task = {
      taskId: 9n,
      hostName: "host1",
      role: "A",
      roleCommand: RoleCommand.START,
      status: Status.COMPLETED,
      attempt: 2,
      exitCode: 0,
      times: { startedAt: { seconds: 20n }, endedAt: { seconds: 22n } },
    };
    const first = {
      attempt: 1,
      status: Status.FAILED,
      exitCode: 3,
      startedAtMs: 10_000n,
      endedAtMs: 10_500n,
      reason: "no disk",
    };
    const server = await fakeServer(t, {
      store: {
        listTasks: () => ({ tasks: [task] }),
        getTask: () => ({ task, attempts: [first] }),
      },
    });
    const { out } = await cli(["tasks", "12", "--attempts"], { server });
    const lines = out.split("\n").map((line) => line.replaceAll(/\d{4}-.{14}/g, "TIME"));
    assert.deepEqual(
      lines.map((line) => line.replaceAll(/ +/g, " ")),
      [
        "TASK HOST WHAT ATTEMPT STATUS EXIT QUEUED STARTED TOOK REASON",
        "9 host1 START A 1 FAILED 3 TIME 500 ms no disk",
        "9 host1 START A 2 COMPLETED 0 TIME 2.0 s",
        "",
      ],
    );
  });
});

describe("taskTable()", () => {
  it("says how long a task took, or has run; nothing of one whose end nobody knows", () => {
    const startedAt = timestampFromMs(Date.now() - 90_000);
    const base = { taskId: 7n, hostName: "h1", role: "RUN", times: { startedAt } };
    const line = (status: Status) =>
      taskTable([create(TaskSchema, { ...base, roleCommand: RoleCommand.EXECUTE, status })]);
    assert.match(line(Status.IN_PROGRESS), /IN_PROGRESS .* 1 min 30 s/);
    assert.doesNotMatch(line(Status.UNKNOWN), / min /);
  });
});

describe("howdah logs", () => {
  it("follows from where it was when the stream breaks off, whole characters only", async (t) => {
    const content = new TextEncoder().encode("one\ntwö\nthree\n");
    const offsets: bigint[] = [];
    const server = await fakeServer(t, {
      store: {
        async *readTaskOutput({ offset, follow, stream, attempt }) {
          assert.deepEqual([follow, stream, attempt], [true, OutputStream.STDERR, 2]);
          offsets.push(offset);
          const from = Number(offset);
          const to = from + 7; // the second piece begins inside the ö
          const complete = to >= content.length;
          yield { offset, data: content.subarray(from, to), complete };
          if (!complete) throw new ConnectError("too old", Code.Unavailable);
        },
      },
    });
    const { out, exitCode } = await cli(["logs", "9", "-f", "--stderr", "--attempt", "2"], {
      server,
    });
    assert.equal(out, "one\ntwö\nthree\n");
    assert.deepEqual(offsets, [0n, 7n, 14n]);
    assert.equal(exitCode, 0);
  });

  it("ends at what is there unless it follows", async (t) => {
    const server = await fakeServer(t, {
      store: {
        async *readTaskOutput() {
          yield { data: new TextEncoder().encode("so far\n"), complete: false };
        },
      },
    });
    assert.equal((await cli(["logs", "9"], { server })).out, "so far\n");
  });
});
