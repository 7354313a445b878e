import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { HostStatusReport } from "@howdah/proto/howdah/v1/agent_service";
import { mount, well } from "../testing/host-readings.js";
import { silent, until } from "../testing/test-agent.js";
import type { HostReading } from "./host-problems.js";
import { HostStatus } from "./host-status.js";
import type { Usage } from "./mounts.js";

/** A host that is as the test says, looked at every 10 ms. */
function watched(t: TestContext, first: Partial<HostReading> = {}) {
  const told: HostStatusReport[] = [];
  const clock = { wallMs: 1_700_000_000_000, monotonicMs: 5_000 };
  let now = well(first);
  let looks = 0;
  const status = new HostStatus({
    read: async () => {
      looks += 1;
      return now;
    },
    agentEnv: () => ({ umask: "18" }),
    log: silent,
    intervalMs: 10,
    clocks: { wallMs: () => clock.wallMs, monotonicMs: () => clock.monotonicMs },
  });
  t.after(() => status.close());
  const answer = { serverTimeMs: clock.wallMs - 100, roundTripMs: 200, ageMs: 0 };
  /** Waits until what the host is now has been looked at. */
  const seen = () => {
    const until2 = looks + 2;
    return until(() => looks >= until2, "a look at the host");
  };
  return {
    ...{ told, clock, status, seen },
    connect: (time = answer) => status.connected((report) => told.push(report), time),
    set: (more: Partial<HostReading>) => {
      now = well(more);
    },
    count: (many: number) => until(() => told.length >= many, `${many} reports`),
  };
}

const problemsOf = (report: HostStatusReport | undefined) => report?.problems ?? [];

test("a session is told once, and then what changed", async (t) => {
  const host = watched(t);
  host.connect();
  await host.count(1);
  const { mounts, agentEnv, clockSkewMs, problems } = JSON.parse(host.told[0]?.statusJson ?? "");
  assert.equal(mounts[0].percent, "50%");
  assert.deepEqual([agentEnv, clockSkewMs, problems], [{ umask: "18" }, 0, []]);

  host.set({ mounts: [mount(54)] });
  await host.seen();
  assert.equal(host.told.length, 1);
  host.set({ mounts: [mount(55)] });
  await host.count(2);
  host.set({ mounts: [mount(58, { inodesPercent: 10 })] });
  await host.count(3);
  host.set({ mounts: [mount(58, { inodesPercent: 10 }), mount(1, { mountpoint: "/new" })] });
  await host.count(4);
  host.set({ mounts: [mount(91, { inodesPercent: 10 })] });
  await host.count(5);
  assert.deepEqual(problemsOf(host.told[4]), ["/ is 91 % full, 9.0 GB left"]);
  await host.seen();
  assert.equal(host.told.length, 5);
});

test("a new session hears the very same when nothing changed, and news when it did", async (t) => {
  const host = watched(t);
  host.connect();
  await host.count(1);
  host.status.disconnected();
  host.set({ mounts: [mount(52)], clockSkewMs: 40 });
  host.connect();
  await host.count(2);
  assert.equal(host.told[1]?.statusJson, host.told[0]?.statusJson);
  host.status.disconnected();
  host.set({ mounts: [mount(70)] });
  host.connect();
  await host.count(3);
  assert.notEqual(host.told[2]?.statusJson, host.told[0]?.statusJson);
});

test("a clock that is set while a session lives is noticed, and when it is right again", async (t) => {
  const host = watched(t);
  host.connect();
  await host.count(1);
  host.clock.wallMs += 3_600_000;
  host.clock.monotonicMs += 1_000;
  await host.count(2);
  assert.match(problemsOf(host.told[1])[0] ?? "", /its clock is 60 min ahead of the server's/);
  host.clock.wallMs -= 3_599_000;
  await host.count(3);
  assert.deepEqual(problemsOf(host.told[2]), []);
});

test("a clock that is wrong at the registration, and a server that says no time or none that can be", async (t) => {
  const host = watched(t);
  const { wallMs } = host.clock;
  for (const serverTimeMs of [0, -1, Number.NaN, 9e15, -9e18]) {
    host.connect({ serverTimeMs, roundTripMs: 10, ageMs: 0 });
    await host.seen();
    host.status.disconnected();
  }
  assert.ok(host.told.every(({ problems }) => problems.length === 0));
  const before = host.told.length;
  host.connect({ serverTimeMs: wallMs - 20_000, roundTripMs: 1_000, ageMs: 0 });
  await host.count(before + 1);
  const [problem = ""] = problemsOf(host.told.at(-1));
  assert.match(problem, /its clock is (?:19|20) s ahead of the server's/);
});

test("a problem whose number has doubled or halved is told anew; less is not", async (t) => {
  const data = (availableKb: number) => ({ data: { ...well().data, availableKb } as Usage });
  const host = watched(t, data(190 * 1_024));
  host.connect();
  await host.count(1);
  for (const mb of [189, 120, 96, 220]) {
    host.set(data(mb * 1_024));
    await host.seen();
  }
  assert.equal(host.told.length, 1);
  host.set(data(95 * 1_024));
  await host.count(2);
  host.set(data(0));
  await host.count(3);
  assert.deepEqual(
    host.told.map((report) => /has (.*) left/.exec(problemsOf(report)[0] ?? "")?.[1]),
    ["190 MB", "95 MB", "0 KB"],
  );
  // Nothing left, or nearly: no news of every kilobyte.
  for (const kb of [4, 900, 0]) {
    host.set(data(kb));
    await host.seen();
  }
  assert.equal(host.told.length, 3);
  host.clock.wallMs += 6_000;
  await host.count(4);
  host.clock.wallMs += 1_000;
  await host.seen();
  assert.equal(host.told.length, 4);
  host.clock.wallMs += 3 * 3_600_000;
  await host.count(5);
  assert.match(problemsOf(host.told[4])[1] ?? "", /its clock is 3 h ahead of the server's/);
});

test("a report is bounded: 32 KiB, twenty problems", async (t) => {
  const mounts = Array.from({ length: 200 }, (_, n) =>
    mount(90 + (n % 10), { mountpoint: `/${"x".repeat(500)}${n}` }),
  );
  const host = watched(t, { mounts });
  host.connect();
  await host.count(1);
  const [report] = host.told;
  assert.ok(Buffer.byteLength(report?.statusJson ?? "") <= 32 * 1024);
  assert.equal(report?.problems.length, 20);
  assert.ok(report?.problems.every((text) => text.length <= 300));
  assert.equal(JSON.parse(report?.statusJson ?? "").mounts[0].percent, "99%");
});

test("nothing is looked at while no session lives", async (t) => {
  const host = watched(t);
  host.connect();
  await host.count(1);
  host.status.disconnected();
  host.set({ mounts: [mount(99)] });
  host.connect();
  await host.count(2);
  host.status.disconnected();
  host.status.close();
  assert.equal(host.told.length, 2);
});
