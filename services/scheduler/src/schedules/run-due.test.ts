// What becomes of a due time, whatever dies in between. The clock is the test's.
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { MissedPolicy, OverlapPolicy, ScheduleOutcome } from "@howdah/proto/howdah/v1/schedule";
import { type SpecInit, scheduling, spec } from "../testing/scheduling.js";
import { start as startServices } from "../testing/service.js";
import { type RunDueOptions, runDue } from "./run-due.js";

const signal = new AbortController().signal;
const hour = 3_600_000;
const start = Date.parse("2026-11-22T00:30:00Z");

/** A schedule that is due each hour, made half an hour before the first time; nothing runs by itself. */
async function hourly(t: TestContext, more: SpecInit = {}) {
  const fixture = await scheduling(t);
  const { client, first, clock, options } = fixture;
  const set = (time: number) => {
    clock.aheadMs = time - Date.now();
  };
  set(start);
  await client.putSchedule({ spec: spec("s", { cron: "0 * * * *", ...more }) });
  await first.stop();
  const runAt = async (text: string, with_: Partial<RunDueOptions> = {}) => {
    set(Date.parse(`2026-11-22T${text}Z`));
    const known = await runDue({ ...options, ...with_ }, fixture.known("s"), signal);
    const { lastOutcome, lastOutcomeText, lastRequestId } = known?.schedule ?? {};
    return `${ScheduleOutcome[lastOutcome ?? 0]} ${lastRequestId}: ${lastOutcomeText}`;
  };
  return { ...fixture, runAt };
}

const due = (hours: number) => Math.floor(start / hour) * hour + hours * hour;
const key = (hours: number) => `schedule/1/${due(hours)}`;

describe("runDue()", () => {
  it("makes one request for a due time, and none before or after it", async (t) => {
    const { runAt, keys, known } = await hourly(t);
    assert.equal(await runAt("00:59:59"), "UNSPECIFIED 0: ");
    assert.equal(await runAt("01:00:00"), "SUBMITTED 1: made request 1");
    assert.equal(await runAt("01:00:00"), "SUBMITTED 1: made request 1");
    assert.deepEqual(keys(), [key(1)]);
    assert.equal(known("s").lastDueMs, due(1));
    assert.equal(known("s").countedUntilMs, due(1));
  });

  it("goes on where another one died: before the request was made", async (t) => {
    const { runAt, keys, store } = await hourly(t);
    let records = 0;
    store.schedules.beforeRecord = () => {
      records += 1;
    };
    // It dies with the submission: only the first record is made.
    store.fail = (method) => method === "createRequest";
    await assert.rejects(runAt("01:00:01"));
    assert.equal(records, 1);
    store.fail = () => false;
    store.schedules.token = 2n;
    assert.equal(await runAt("01:00:10", { token: 2n }), "SUBMITTED 1: made request 1");
    assert.deepEqual(keys(), [key(1)]);
  });

  it("goes on where another one died: after the request was made", async (t) => {
    const { runAt, keys, store } = await hourly(t);
    let records = 0;
    store.schedules.beforeRecord = () => {
      records += 1;
      if (records === 2) throw new ConnectError("gone", Code.Unavailable);
    };
    await assert.rejects(runAt("01:00:01"), /gone/);
    assert.deepEqual(keys(), [key(1)]);
    store.schedules.token = 2n;
    // However late: the request is there. What has come since is told of apart.
    assert.equal(await runAt("03:30:00", { token: 2n }), "SUBMITTED 1: made request 1");
    assert.equal(await runAt("03:30:00", { token: 2n }), skippedAfter1);
    assert.deepEqual(keys(), [key(1)]);
  });
  const skippedAfter1 =
    "SKIPPED 1: missed: nobody could run it when it was due, and it would be 30 min late; 1 due time was missed before it";

  it("says that a due time was missed whose request could not be made in time", async (t) => {
    const { runAt, keys, store, known } = await hourly(t);
    store.fail = (method) => method === "createRequest";
    await assert.rejects(runAt("01:00:01"));
    store.fail = () => false;
    const told = await runAt("01:30:00");
    assert.equal(told, "SKIPPED 0: missed: it could not be submitted before it was too late");
    assert.deepEqual(keys(), []);
    assert.equal(known("s").lastDueMs, due(1));
  });

  it("repeats what was recorded although the answer was lost", async (t) => {
    const { runAt, keys, store } = await hourly(t);
    store.schedules.loseAnswers = 1;
    await assert.rejects(runAt("01:00:01"), /the connection was lost/);
    assert.deepEqual(keys(), []);
    store.schedules.loseAnswers = 0;
    assert.equal(await runAt("01:00:02"), "SUBMITTED 1: made request 1");
    assert.deepEqual(keys(), [key(1)]);
  });

  it("never makes two requests for a due time, whatever two clocks say", async (t) => {
    const { runAt, keys, finish } = await hourly(t);
    // The first one's clock is 20 s ahead: it runs early.
    assert.equal(await runAt("01:00:05"), "SUBMITTED 1: made request 1");
    finish(1n);
    // The second one's is right: it is 00:59:45, then the hour.
    assert.equal(await runAt("00:59:45", { token: 2n }), "SUBMITTED 1: made request 1");
    assert.equal(await runAt("01:00:00", { token: 2n }), "SUBMITTED 1: made request 1");
    assert.equal(await runAt("02:00:00", { token: 2n }), "SUBMITTED 2: made request 2");
    assert.deepEqual(keys(), [key(1), key(2)]);
  });

  it("does nothing for a scheduler that was replaced", async (t) => {
    const { runAt, keys, store } = await hourly(t);
    store.schedules.token = 2n;
    await assert.rejects(runAt("01:00:00"), /another one has taken the lease/);
    assert.deepEqual(keys(), []);
  });

  it("skips what was missed, and says so", async (t) => {
    const { runAt, keys } = await hourly(t);
    const told = await runAt("04:30:00");
    assert.equal(
      told,
      "SKIPPED 0: missed: nobody could run it when it was due, and it would be 30 min late; 3 due times were missed before it",
    );
    assert.deepEqual(keys(), []);
    assert.equal(await runAt("05:00:00"), "SUBMITTED 1: made request 1");
  });

  it("makes one request for all that were missed when it is to catch up", async (t) => {
    const { runAt, keys } = await hourly(t, { missed: MissedPolicy.RUN_ONCE });
    const told = await runAt("04:30:00");
    assert.equal(told, "SUBMITTED 1: made request 1; 3 due times were missed before it");
    assert.equal(await runAt("04:31:00"), told);
    assert.deepEqual(keys(), [key(4)]);
  });

  it("catches up on nothing that is later than it may be", async (t) => {
    const catchUp = { missed: MissedPolicy.RUN_ONCE, catchUpWithin: durationFromMs(600_000) };
    const { runAt, keys } = await hourly(t, catchUp);
    assert.match(await runAt("04:10:01"), /^SKIPPED 0: missed: .* 10 min late/);
    assert.match(await runAt("05:09:59"), /^SUBMITTED 1/);
    assert.deepEqual(keys(), [key(5)]);
  });

  it("skips while the run before has not ended, and says which", async (t) => {
    const { runAt, keys, finish, store } = await hourly(t);
    await runAt("01:00:00");
    const skipped = "SKIPPED 1: request 1, of the run before, has not ended";
    assert.equal(await runAt("02:00:00"), skipped);
    finish(1n);
    assert.equal(await runAt("03:00:00"), "SUBMITTED 2: made request 2");
    // Purged.
    store.requests.delete(2n);
    assert.match(await runAt("04:00:00"), /^SUBMITTED 2/);
    assert.deepEqual(keys(), [key(1), key(4)]);
  });

  it("runs beside the run before when that is allowed", async (t) => {
    const { runAt, keys } = await hourly(t, { overlap: OverlapPolicy.RUN });
    await runAt("01:00:00");
    assert.equal(await runAt("02:00:00"), "SUBMITTED 2: made request 2");
    assert.deepEqual(keys(), [key(1), key(2)]);
  });

  it("says why no request could be made, and goes on with the next due time", async (t) => {
    const { runAt, keys, store } = await hourly(t);
    const { hosts } = store;
    store.hosts = [];
    assert.match(await runAt("01:00:00"), /^REFUSED 0: no request was made: .*hosts/);
    store.hosts = hosts;
    assert.match(await runAt("02:00:00"), /^SUBMITTED 1/);
    assert.deepEqual(keys(), [key(2)]);
  });

  it("skips a due time at which all is as asked for already", async (t) => {
    const { runAt, store } = await hourly(t, { operation: startServices() });
    const { STARTED: currentState } = ComponentState;
    store.hostComponents = [
      { componentName: "DB_SERVER", hostName: "h1" },
      { componentName: "DB_CLIENT_HOST", hostName: "h2" },
      { componentName: "DB_CLIENT_HOST", hostName: "h3" },
    ].map((each) => ({ ...each, currentState, desiredState: currentState }));
    assert.equal(
      await runAt("01:00:00"),
      "SKIPPED 0: skipped: there is nothing to do: all 3 components are STARTED already",
    );
  });
});
