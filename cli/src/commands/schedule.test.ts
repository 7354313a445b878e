import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { durationFromMs, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type MaintenanceWindow,
  MissedPolicy,
  OverlapPolicy,
  ScheduleOutcome,
  type ScheduleSpec,
} from "@howdah/proto/howdah/v1/schedule";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import { cli, fakeServer } from "../cli-fixture.js";
import { localTimeMs } from "../text/words.js";

const nextMs = Date.parse("2026-11-29T02:00:00Z");
const nextDueAt = timestampFromMs(nextMs);
const next = localTimeMs(nextMs);

/** A server that takes every schedule as a new one; what it took. */
async function taking(t: Parameters<typeof fakeServer>[0], created = true) {
  const specs: ScheduleSpec[] = [];
  const server = await fakeServer(t, {
    schedules: {
      putSchedule({ spec }) {
        if (spec !== undefined) specs.push(spec);
        return { schedule: { enabled: true, nextDueAt, ...(spec && { spec }) }, created };
      },
    },
    fleet: { getCluster: () => ({ cluster: { name: "prod" } }) },
  });
  return { server, specs };
}

describe("howdah schedule add", () => {
  it("takes a verb with all its options after --, and says when it runs next", async (t) => {
    const { server, specs } = await taking(t);
    const line = "schedule add weekly --zone Europe/Berlin --missed run-once --catch-up-within 2h";
    const { out, err, exitCode } = await cli(
      [...line.split(" "), "--cron", "0 3 * * 0", "--", "restart", "HDFS", "--batch", "10%"],
      { server },
    );
    assert.equal(err, "");
    assert.equal(exitCode, 0);
    assert.equal(out, `schedule weekly is made: next ${next}\n`);
    const [spec] = specs;
    assert.equal(spec?.name, "weekly");
    assert.deepEqual(
      [spec.cron, spec.timeZone, spec.at],
      ["0 3 * * 0", "Europe/Berlin", undefined],
    );
    assert.deepEqual(
      [spec.missed, spec.overlap],
      [MissedPolicy.RUN_ONCE, OverlapPolicy.UNSPECIFIED],
    );
    assert.equal(spec.catchUpWithin?.seconds, 7_200n);
    assert.ok(spec.operation?.kind.case === "service");
    const { cluster, roleCommand, services } = spec.operation.kind.value;
    assert.deepEqual([cluster, roleCommand, services], ["prod", RoleCommand.RESTART, ["HDFS"]]);
    assert.deepEqual(spec.options?.rolling?.batch, { case: "batchPercent", value: 10 });
  });

  it("takes command lines and custom commands, a time, a window and a context", async (t) => {
    const { server, specs } = await taking(t, false);
    const run = await cli(
      "schedule add up --at 2026-12-01T03:00+01:00 --overlap run -- run --hosts * --window NIGHT -- df -h".split(
        " ",
      ),
      { server },
    );
    assert.equal(run.out, `schedule up is changed: next ${next}\n`);
    assert.equal(specs[0]?.at && timestampMs(specs[0].at), Date.parse("2026-12-01T02:00Z"));
    assert.equal(specs[0]?.overlap, OverlapPolicy.RUN);
    assert.equal(specs[0]?.options?.window, "NIGHT");
    assert.ok(specs[0]?.operation?.kind.case === "adHoc");
    assert.deepEqual(specs[0].operation.kind.value.argv, ["df", "-h"]);
    const custom =
      "schedule add b --at 2026-12-01T02:00Z -- command NAMENODE REBALANCE --context x";
    assert.equal((await cli(custom.split(" "), { server })).exitCode, 0);
    assert.equal(specs[1]?.operation?.kind.case, "customCommand");
    assert.equal(specs[1]?.context, "x");
    const action = "schedule add c --at 2026-12-01T02:00Z -- action check_host --hosts web-*";
    assert.equal((await cli(action.split(" "), { server })).exitCode, 0);
    assert.equal(specs[2]?.operation?.kind.case, "customAction");
  });

  const wrong: [line: string, message: RegExp][] = [
    ["add n -- restart", /say when it runs: either --at or --cron/],
    ["add n --at 2026-12-01T03:00Z --cron @ -- restart", /either --at or --cron/],
    ["add n --at 2026-12-01T03:00 -- restart", /--at.*Write it with its offset/],
    ["add n --at 2026-12-01T03:00Z --zone UTC -- restart", /--zone says nothing without --cron/],
    ["add n --cron @ --catch-up-within 1h -- restart", /says nothing without --missed run-once/],
    ["add n --cron @ --missed never -- restart", /Allowed choices are skip, run-once/],
    ["add n --cron @ -- plan restart", /"plan" cannot be scheduled; after -- stands one of/],
    ["add n --cron @ -- restart --key k", /--key is for an operation that runs at once/],
    ["add n --cron @ -- restart --batch 0", /--batch: "0" is less than 1/],
    ["add n --cron @ -- restart --nonsense", /unknown option '--nonsense'/],
    ["add n --cron @ -- run -- df", /say on which hosts/],
    ["add n --cron @", /missing required argument 'operation'/],
  ];
  for (const [line, message] of wrong) {
    it(`is wrong usage: ${line}`, async (t) => {
      const { server, specs } = await taking(t);
      const { exitCode, err } = await cli(["schedule", ...line.split(" ")], { server });
      assert.match(err, message);
      assert.equal(exitCode, 2);
      assert.equal(specs.length, 0);
    });
  }

  it("tells in one line why the server refuses, with exit code 4", async (t) => {
    const server = await fakeServer(t, {
      schedules: {
        putSchedule() {
          throw new ConnectError('spec.cron: "x" cannot be read', Code.InvalidArgument);
        },
      },
    });
    const line = "schedule add n --cron x -- run --hosts a df";
    const result = await cli(line.split(" "), { server });
    assert.deepEqual(result, {
      exitCode: 4,
      out: "",
      err: 'howdah: spec.cron: "x" cannot be read\n',
    });
  });
});

describe("howdah schedules, schedule show, pause, resume, delete", () => {
  const spec = {
    name: "weekly",
    cron: "0 3 * * 0",
    missed: MissedPolicy.RUN_ONCE,
    catchUpWithin: durationFromMs(7_200_000),
    options: { window: "NIGHT" },
    operation: {
      kind: {
        case: "service" as const,
        value: { cluster: "prod", roleCommand: RoleCommand.RESTART, services: ["HDFS"] },
      },
    },
  };
  const schedule = {
    spec,
    ...{ enabled: true, nextDueAt, lastDueAt: timestampFromMs(nextMs - 604_800_000) },
    ...{ lastRequestId: 12n, lastOutcome: ScheduleOutcome.SUBMITTED },
    lastOutcomeText: "made request 12; 1 due time was missed before it",
  };

  it("show what runs, when, and what became of it", async (t) => {
    const server = await fakeServer(t, {
      schedules: {
        listSchedules: () => ({ schedules: [schedule] }),
        getSchedule: () => ({ schedule }),
      },
      store: {
        getRequest: () => ({
          request: { requestId: 12n, context: "Restart HDFS", status: Status.FAILED },
        }),
      },
    });
    const { out: table } = await cli(["schedules"], { server });
    assert.match(table, /^NAME +WHEN +NEXT +LAST +OUTCOME +REQUEST +WHAT\n/);
    assert.match(table, /\nweekly +0 3 \* \* 0 UTC +.* SUBMITTED +12 +RESTART HDFS of prod\n$/);
    const { out: page } = await cli(["schedule", "show", "weekly"], { server });
    const last = localTimeMs(nextMs - 604_800_000);
    assert.deepEqual(page.split("\n").slice(0, 5), [
      "Schedule weekly: RESTART HDFS of prod",
      `runs 0 3 * * 0 UTC; next ${next}`,
      "what was missed is made up for by one run, up to 7200 s late; while the run before goes on it is skipped",
      "with --window NIGHT",
      `last due ${last}: SUBMITTED, made request 12; 1 due time was missed before it`,
    ]);
    assert.match(page, /\nRequest 12 \(Restart HDFS\) FAILED/);
    const json = await cli(["schedules", "--output", "json"], { server });
    assert.equal((JSON.parse(json.out) as { spec: { name: string } }).spec.name, "weekly");
  });

  it("pause, resume and delete by name", async (t) => {
    const asked: unknown[] = [];
    const server = await fakeServer(t, {
      schedules: {
        setScheduleEnabled({ name, enabled }) {
          asked.push([name, enabled]);
          return { schedule: { spec, enabled, ...(enabled && { nextDueAt }) } };
        },
        deleteSchedule({ name }) {
          if (name === "weekly") return {};
          throw new ConnectError(`there is no schedule ${name}`, Code.NotFound);
        },
      },
    });
    const said = async (line: string) => (await cli(line.split(" "), { server })).out;
    assert.equal(
      await said("schedule pause weekly"),
      "schedule weekly: it is paused; howdah schedule resume weekly lets it go on\n",
    );
    assert.equal(await said("schedule resume weekly"), `schedule weekly: next ${next}\n`);
    assert.equal(await said("schedule delete weekly"), "schedule weekly is deleted\n");
    assert.deepEqual(asked, [
      ["weekly", false],
      ["weekly", true],
    ]);
    const gone = await cli(["schedule", "delete", "x"], { server });
    assert.deepEqual([gone.exitCode, gone.err], [4, "howdah: there is no schedule x\n"]);
  });
});

describe("howdah window", () => {
  it("is told of where a request names it, until the request is over", async (t) => {
    const request = { requestId: 7n, context: "Run df", options: { window: "NIGHT" } };
    const server = await fakeServer(t, {
      requests: {
        submitRequest: ({ options }) => ({ request: { ...request, ...(options && { options }) } }),
      },
      store: {
        getRequest: ({ requestId }) => ({
          request: { ...request, requestId, progressPercent: requestId === 7n ? 0 : 100 },
        }),
        listTasks: () => ({}),
      },
    });
    const line = "it runs only while window NIGHT is open; howdah window list says when\n";
    const submitted = await cli("run -d --hosts a --window NIGHT -- df".split(" "), { server });
    assert.equal(submitted.err, line);
    assert.ok((await cli(["request", "7"], { server })).out.includes(line));
    assert.ok(!(await cli(["request", "8"], { server })).out.includes(line));
    assert.equal((await cli("run -d --hosts a -- df".split(" "), { server })).err, "");
  });

  it("adds, lists and deletes maintenance windows", async (t) => {
    const asked: (MaintenanceWindow | undefined)[] = [];
    const window = {
      ...{ name: "NIGHT", cron: "0 1 * * *", timeZone: "Europe/Berlin", open: true },
      ...{ opensAt: timestampFromMs(nextMs), closesAt: timestampFromMs(nextMs + 3_600_000) },
      duration: durationFromMs(3_600_000),
    };
    const server = await fakeServer(t, {
      schedules: {
        putWindow(request) {
          asked.push(request.window);
          return { window };
        },
        listWindows: () => ({ windows: [window, { name: "DAY", cron: "0 9 * * *" }] }),
        deleteWindow() {
          throw new ConnectError("window NIGHT is needed by request 7", Code.FailedPrecondition);
        },
      },
    });
    const added = await cli(
      [
        "window",
        "add",
        "NIGHT",
        "--cron",
        "0 1 * * *",
        "--zone",
        "Europe/Berlin",
        "--duration",
        "1h",
      ],
      { server },
    );
    const closes = localTimeMs(nextMs + 3_600_000);
    assert.equal(added.out, `window NIGHT: open until ${closes}\n`);
    assert.deepEqual([asked[0]?.name, asked[0]?.duration?.seconds], ["NIGHT", 3_600n]);
    const { out } = await cli(["window", "list"], { server });
    assert.match(out, /^NAME +STATE +OPENS +CLOSES +CRON +ZONE +OPEN FOR\nNIGHT +OPEN .* 1 h\n/);
    assert.match(out, /\nDAY +SHUT +0 9 \* \* \* +UTC\n$/);
    const refused = await cli(["window", "delete", "NIGHT"], { server });
    assert.deepEqual(
      [refused.exitCode, refused.err],
      [4, "howdah: window NIGHT is needed by request 7\n"],
    );
    const wrong = await cli(["window", "add", "NIGHT", "--cron", "0 1 * * *"], { server });
    assert.equal(wrong.exitCode, 2);
  });
});
