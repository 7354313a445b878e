import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { durationFromMs, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { MissedPolicy, OverlapPolicy, ScheduleOutcome } from "@howdah/proto/howdah/v1/schedule";
import { eventually, stays } from "../testing/eventually.js";
import { type SpecInit, scheduling, spec } from "../testing/scheduling.js";
import { fails, run, start } from "../testing/service.js";

const everySecond = { cron: "* * * * * *", overlap: OverlapPolicy.RUN };
const tomorrow = timestampFromMs(Date.now() + 86_400_000);

describe("what is scheduled is checked, by field and value", () => {
  const wrong: [what: string, spec: SpecInit | undefined, message: RegExp][] = [
    ["no spec", undefined, /^spec: is not set/],
    ["no name", { ...spec(""), name: "" }, /^spec\.name: is empty; give 1 to 80 letters/],
    ["a name with a blank", spec("my plan"), /^spec\.name: "my plan" will not do/],
    ["a name too long", spec("x".repeat(81)), /^spec\.name: "x{80}" will not do/],
    [
      "neither time nor cron line",
      spec("s", { cron: "" }),
      /^spec\.at: and spec\.cron are both empty/,
    ],
    ["both", spec("s", { at: tomorrow }), /^spec\.at: and spec\.cron are both given/],
    [
      "a time that has passed",
      spec("s", { cron: "", at: timestampFromMs(1_000) }),
      /^spec\.at: 1970-01-01T00:00:01Z has passed; give a time to come/,
    ],
    [
      "a zone for a time",
      spec("s", { cron: "", at: tomorrow, timeZone: "Europe/Berlin" }),
      /^spec\.time_zone: goes with cron/,
    ],
    [
      "an unknown zone",
      spec("s", { timeZone: "Mars/Phobos" }),
      /^spec\.time_zone: "Mars\/Phobos" is no/,
    ],
    [
      "a cron line of four",
      spec("s", { cron: "0 3 * *" }),
      /^spec\.cron: "0 3 \* \*" has 4 fields/,
    ],
    [
      "a cron line that makes no sense",
      spec("s", { cron: "0 25 * * *" }),
      /^spec\.cron: .* cannot be read/,
    ],
    ["30 February", spec("s", { cron: "0 0 30 2 *" }), /^spec\.cron: "0 0 30 2 \*" never comes/],
    [
      "a limit without catching up",
      spec("s", { catchUpWithin: durationFromMs(60_000) }),
      /^spec\.catch_up_within: says nothing without missed RUN_ONCE/,
    ],
    [
      "a limit too small",
      spec("s", { missed: MissedPolicy.RUN_ONCE, catchUpWithin: durationFromMs(10) }),
      /^spec\.catch_up_within: 0\.01s will not do/,
    ],
    [
      "an unknown policy",
      spec("s", { missed: 9 as MissedPolicy }),
      /^spec\.missed: 9 is not a known/,
    ],
    ["a context too long", spec("s", { context: "x".repeat(256) }), /^spec\.context: has 256/],
    ["no operation", { name: "s", cron: "0 3 * * *" }, /^operation: is empty/],
    [
      "an unknown cluster",
      spec("s", { operation: start({ cluster: "c9" }) }),
      /there is no cluster c9/,
    ],
    ["unknown hosts", spec("s", { operation: run(["h9"], "true") }), /h9/],
    ["wrong options", spec("s", { options: { maxInFlight: -1 } }), /^options\.max_in_flight: -1/],
    [
      "an unknown window",
      spec("s", { options: { window: "NIGHT" } }),
      /^options\.window: there is no maintenance window NIGHT; there are none yet/,
    ],
  ];
  it("and nothing is kept of it", async (t) => {
    const { client, store } = await scheduling(t);
    for (const [what, init, message] of wrong) {
      const call = client.putSchedule(init === undefined ? {} : { spec: init });
      await fails(call, Code.InvalidArgument, message).catch((error: unknown) => {
        throw new Error(`${what}: ${(error as Error).message}`);
      });
    }
    assert.equal(store.schedules.rows.size, 0);
    for (const call of [
      client.getSchedule({ name: "s" }),
      client.deleteSchedule({ name: "s" }),
      client.setScheduleEnabled({ name: "s" }),
    ]) {
      await fails(call, Code.NotFound, /there is no schedule s/);
    }
  });

  it("also of windows", async (t) => {
    const { client, store } = await scheduling(t);
    const window = { name: "NIGHT", cron: "0 1 * * *", duration: durationFromMs(3_600_000) };
    const hours = (count: number) => durationFromMs(count * 3_600_000);
    for (const [init, message] of [
      [{ ...window, name: "" }, /^window\.name: is empty/],
      [{ ...window, cron: "" }, /^window\.cron: "" has no fields/],
      [{ ...window, cron: "0 0 31 4 *" }, /^window\.cron: "0 0 31 4 \*" never comes/],
      [{ ...window, timeZone: "Nowhere" }, /^window\.time_zone: "Nowhere" is no time zone/],
      [{ name: "NIGHT", cron: "0 1 * * *" }, /^window\.duration: is not set/],
      [{ ...window, duration: hours(0) }, /^window\.duration: 0s will not do/],
      [{ ...window, duration: hours(25) }, /90000 s is longer than the 86400 s from one opening/],
      [{ ...window, cron: "0 1,3 * * *", duration: hours(3) }, /10800 s is longer than the 7200 s/],
    ] as const) {
      await fails(client.putWindow({ window: init }), Code.InvalidArgument, message);
    }
    assert.equal(store.schedules.windows.size, 0);
    await fails(client.putWindow({}), Code.InvalidArgument, /^window: is not set/);
    await fails(client.deleteWindow({ name: "NIGHT" }), Code.NotFound, /there is no window NIGHT/);
  });
});

describe("schedules", () => {
  it("are kept, shown with when they are due, changed and deleted by name", async (t) => {
    const { client, get } = await scheduling(t);
    const made = await client.putSchedule({ spec: spec("nightly", { timeZone: "Asia/Tokyo" }) });
    assert.equal(made.created, true);
    const nextMs = made.schedule?.nextDueAt && timestampMs(made.schedule.nextDueAt);
    assert.equal(new Date(nextMs ?? 0).toISOString().slice(11), "18:00:00.000Z");
    await client.putSchedule({ spec: spec("once", { cron: "", at: tomorrow }) });
    const { schedules } = await client.listSchedules({});
    assert.deepEqual(
      schedules.map(({ spec: one }) => one?.name),
      ["nightly", "once"],
    );
    assert.deepEqual((await get("once")).nextDueAt, tomorrow);
    const changed = await client.putSchedule({ spec: spec("nightly", { context: "other" }) });
    assert.equal(changed.created, false);
    assert.equal(changed.schedule?.scheduleId, made.schedule?.scheduleId);
    assert.equal((await get("nightly")).spec?.context, "other");
    await client.deleteSchedule({ name: "nightly" });
    await fails(get("nightly"), Code.NotFound, /there is no schedule nightly/);
  });

  it("count from now on when their times change, and go on counting when other things do", async (t) => {
    const { client, store, known } = await scheduling(t);
    await client.putSchedule({ spec: spec("s") });
    await client.setScheduleEnabled({ name: "s", enabled: false });
    const row = store.schedules.rows.get("s");
    assert.ok(row);
    row.countedUntilMs = 5n;
    await client.putSchedule({ spec: spec("s", { context: "other" }) });
    assert.equal(known("s").countedUntilMs, 5);
    await client.putSchedule({ spec: spec("s", { timeZone: "Asia/Tokyo" }) });
    assert.ok(known("s").countedUntilMs > Date.now() - 5_000);
  });

  it("run by themselves, one request a due time, as soon as they are made", async (t) => {
    const { client, keys, get } = await scheduling(t);
    await client.putSchedule({ spec: spec("s", { ...everySecond, context: "each second" }) });
    await eventually("three requests", () => keys().length >= 3);
    await client.setScheduleEnabled({ name: "s", enabled: false });
    const made = keys();
    assert.equal(new Set(made).size, made.length);
    const due = made.map((key) => Number(/^schedule\/1\/(\d+)$/.exec(key)?.[1]));
    for (const [at, time] of due.entries()) assert.equal(time, (due[0] ?? 0) + at * 1_000);
    const { lastOutcome, lastRequestId, lastOutcomeText, nextDueAt, enabled } = await get("s");
    assert.equal(lastOutcome, ScheduleOutcome.SUBMITTED);
    assert.equal(lastRequestId, BigInt(made.length));
    assert.equal(lastOutcomeText, `made request ${made.length}`);
    assert.deepEqual([enabled, nextDueAt], [false, undefined]);
  });

  it("run nothing while they are paused, and do not miss it", async (t) => {
    const { client, keys, get } = await scheduling(t);
    const catchUp = { ...everySecond, missed: MissedPolicy.RUN_ONCE };
    await client.putSchedule({ spec: spec("s", catchUp) });
    await client.setScheduleEnabled({ name: "s", enabled: false });
    const before = keys().length;
    await stays("nothing runs", 1_200, () => keys().length === before);
    const { schedule } = await client.setScheduleEnabled({ name: "s", enabled: true });
    const nextMs = schedule?.nextDueAt && timestampMs(schedule.nextDueAt);
    assert.ok((nextMs ?? 0) > Date.now() - 100, "it catches up on what passed while it was paused");
    await eventually("a request", () => keys().length > before);
    assert.doesNotMatch((await get("s")).lastOutcomeText, /missed/);
  });

  it("go on after the store was away, and with what they are changed to", async (t) => {
    const { client, keys, store } = await scheduling(t);
    await client.putSchedule({ spec: spec("s", everySecond) });
    await eventually("a request", () => keys().length >= 1);
    store.down = true;
    await stays("nothing is made", 1_100, () => true);
    store.down = false;
    const before = keys().length;
    await eventually("further requests", () => keys().length >= before + 2);
    await client.putSchedule({ spec: spec("s", { ...everySecond, cron: "0 0 1 1 *" }) });
    const made = keys().length;
    await stays("it is not due any more", 1_200, () => keys().length === made);
  });

  it("go on with the next scheduler, and end with the one that leads no more", async (t) => {
    const { client, keys, store, first, lead, leading } = await scheduling(t);
    await client.putSchedule({ spec: spec("s", everySecond) });
    await eventually("a request", () => keys().length >= 1);
    await first.stop();
    const before = keys().length;
    await stays("nobody leads", 1_100, () => keys().length === before);
    await fails(
      client.putSchedule({ spec: spec("s", everySecond) }),
      Code.Unavailable,
      /does not lead any more/,
    );
    leading.schedules = undefined;
    await fails(client.deleteSchedule({ name: "s" }), Code.Unavailable, /stands by/);
    store.schedules.token = 2n;
    lead({ token: 2n });
    // The one that was replaced does not know it yet.
    lead({ token: 1n });
    await eventually("further requests", () => keys().length >= before + 2);
    assert.equal(new Set(keys()).size, keys().length);
  });

  it("set a clock right that was ahead, by being resumed", async (t) => {
    const { client, keys, clock, known } = await scheduling(t);
    clock.aheadMs = 86_400_000;
    await client.putSchedule({ spec: spec("s", everySecond) });
    await eventually("a request", () => keys().length >= 1);
    clock.aheadMs = 0;
    await client.setScheduleEnabled({ name: "s", enabled: true });
    assert.ok(known("s").countedUntilMs <= Date.now());
    const before = keys().length;
    await eventually("further requests", () => keys().length > before);
  });
});

describe("maintenance windows", () => {
  it("are kept and shown with when they are open, and may be named by requests then", async (t) => {
    const { client, world } = await scheduling(t);
    const duration = durationFromMs(1_000);
    const { window } = await client.putWindow({
      window: { name: "ALWAYS", cron: "* * * * * *", duration },
    });
    assert.equal(window?.open, true);
    await client.putWindow({ window: { name: "LATER", cron: "0 0 1 1 *", duration } });
    const { windows } = await client.listWindows({});
    assert.deepEqual(
      windows.map(({ name, open }) => `${name} ${open}`),
      ["ALWAYS true", "LATER false"],
    );
    const [, later] = windows;
    const opensMs = later?.opensAt && timestampMs(later.opensAt);
    assert.equal(later?.closesAt && timestampMs(later.closesAt), (opensMs ?? 0) + 1_000);
    const options = { window: "LATER" };
    const put = await client.putSchedule({ spec: spec("s", { ...everySecond, options }) });
    assert.equal(put.created, true);
    await eventually("a request", () => world.store.requests.size > 0);
    await client.deleteWindow({ name: "ALWAYS" });
  });
});
