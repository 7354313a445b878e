import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { durationFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { ScheduleOutcome } from "@howdah/proto/howdah/v1/schedule";
import { execute } from "../database/query.js";
import { openTestDatabase, type TestDatabase } from "../testing/database.js";
import { createSample, openSession, startStore, type TestStore } from "../testing/store.js";
import { untilBlocked } from "../testing/until-blocked.js";

describe("schedules and windows", () => {
  let database: TestDatabase;
  let store: TestStore;
  let other: TestStore;
  before(async () => {
    database = await openTestDatabase();
    store = await startStore(database.url);
    other = await startStore(database.url);
  });
  after(async () => {
    await store?.stop();
    await other?.stop();
    await database?.close();
  });

  const schedulerToken = 1n;

  async function make(name: string, options = {}) {
    const { stored } = await store.client.storeSchedule({
      schedulerToken,
      spec: { name, cron: "0 3 * * *", options },
      countedUntilMs: 1_000n,
    });
    assert.ok(stored?.schedule);
    return { stored, schedule: stored.schedule, scheduleId: stored.schedule.scheduleId };
  }

  const named = async (name: string) => (await other.client.readSchedules({ name })).schedules[0];

  function fails(call: Promise<unknown>, code: Code, message: RegExp) {
    return assert.rejects(call, (error: unknown) => {
      const { code: actual, rawMessage } = ConnectError.from(error);
      assert.equal(Code[actual], Code[code], rawMessage);
      assert.match(rawMessage, message);
      return true;
    });
  }

  it("should keep a schedule under its name, enabled and never due yet", async () => {
    const { schedule, stored } = await make("kept");
    assert.equal(schedule.enabled, true);
    assert.equal(schedule.lastDueAt, undefined);
    assert.equal(schedule.spec?.cron, "0 3 * * *");
    assert.equal(stored.countedUntilMs, 1_000n);
    assert.deepEqual(await named("kept"), stored);
    const { schedules } = await store.client.readSchedules({});
    assert.deepEqual(
      schedules.map((each) => each.schedule?.spec?.name),
      ["kept"],
    );
    await store.client.removeSchedule({ schedulerToken, name: "kept" });
    assert.equal(await named("kept"), undefined);
    await fails(
      store.client.removeSchedule({ schedulerToken, name: "kept" }),
      Code.NotFound,
      /there is no schedule kept/,
    );
  });

  it("should change a schedule only in the version that was seen, and never make two of a name", async () => {
    const { schedule } = await make("changed");
    const change = (version: bigint, cron: string, at = store) =>
      at.client.storeSchedule({ schedulerToken, spec: { name: "changed", cron }, version });
    const answers = await Promise.allSettled([
      change(schedule.version, "1 * * * *"),
      change(schedule.version, "2 * * * *", other),
    ]);
    assert.equal(answers.filter(({ status }) => status === "fulfilled").length, 1);
    await fails(change(0n, "3 * * * *"), Code.FailedPrecondition, /has been changed meanwhile/);
    const at = (store: TestStore) =>
      store.client.storeSchedule({ schedulerToken, spec: { name: "twin", cron: "0 3 * * *" } });
    const twins = await Promise.allSettled([store, other, store, other, store, other].map(at));
    const losers = twins.flatMap((twin) => (twin.status === "rejected" ? [twin.reason] : []));
    assert.equal(losers.length, 5);
    for (const error of losers) {
      assert.equal(ConnectError.from(error).code, Code.FailedPrecondition, String(error));
    }
    // Another one's is not committed yet when this one looks whether there is any.
    const elsewhere = await database.db.transaction();
    await execute(elsewhere, `insert into schedule values (0, 'slow', '', 1, 1, 0, 0, 0, 0, '')`);
    const late = store.client.storeSchedule({ schedulerToken, spec: { name: "slow" } });
    const refused = fails(late, Code.FailedPrecondition, /slow has been changed meanwhile/);
    await untilBlocked(database.db);
    await elsewhere.commit();
    await refused;
    await execute(database.db, "delete from schedule where name = 'slow'");
    const now = await named("changed");
    assert.equal(now?.schedule?.version, schedule.version + 1n);
    assert.equal(now?.schedule?.scheduleId, schedule.scheduleId);
  });

  it("should record a due time once, whoever else records it at the same version", async () => {
    const { schedule, scheduleId } = await make("due");
    const record = (lastRequestId: bigint, at: TestStore) =>
      at.client.recordSchedule({
        schedulerToken,
        scheduleId,
        version: schedule.version,
        enabled: true,
        countedUntilMs: 5_000n,
        lastDueMs: 5_000n,
        lastRequestId,
        lastOutcome: ScheduleOutcome.SUBMITTED,
        lastOutcomeText: `request ${lastRequestId}`,
      });
    const answers = await Promise.all([record(1n, store), record(2n, other)]);
    const [won] = answers.filter(({ recorded }) => recorded);
    assert.equal(answers.filter(({ recorded }) => recorded).length, 1);
    const now = await named("due");
    assert.deepEqual(now, won?.stored);
    assert.equal(now?.countedUntilMs, 5_000n);
    assert.equal(now?.schedule?.lastDueAt && timestampMs(now.schedule.lastDueAt), 5_000);
    assert.equal(now?.schedule?.lastOutcome, ScheduleOutcome.SUBMITTED);
    const gone = await store.client.recordSchedule({ schedulerToken, scheduleId: 999_999n });
    assert.deepEqual([gone.recorded, gone.stored], [false, undefined]);
  });

  it("should refuse every write of a scheduler whose lease another one has taken", async () => {
    const { schedule, scheduleId } = await make("fenced");
    const duration = durationFromMs(1_000);
    const window = { name: "fenced", cron: "0 1 * * *", duration };
    await store.client.storeWindow({ schedulerToken, window });
    await execute(
      database.db,
      `insert into lease (name, holder, token, counter, duration_ms, address, renewed_at) values ('scheduler', 'b/1', 2, 1, 6000, '', 0)`,
    );
    try {
      const { version } = schedule;
      const spec = { name: "fenced", cron: "1 1 * * *" };
      const { client } = store;
      for (const call of [
        () => client.storeSchedule({ schedulerToken, spec: { ...spec, name: "new" } }),
        () => client.storeSchedule({ schedulerToken, spec, version }),
        () => client.recordSchedule({ schedulerToken, scheduleId, version, countedUntilMs: 9n }),
        () => client.removeSchedule({ schedulerToken, name: "fenced" }),
        () => client.storeWindow({ schedulerToken, window: { ...window, cron: "0 2 * * *" } }),
        () => client.removeWindow({ schedulerToken, name: "fenced" }),
      ]) {
        await fails(call(), Code.FailedPrecondition, /lease 1 is over: another one has taken it/);
      }
      assert.equal((await named("fenced"))?.schedule?.version, version);
      assert.equal(await named("new"), undefined);
      const { windows } = await client.readWindows({});
      assert.deepEqual(
        windows.map(({ name, cron }) => `${name} ${cron}`),
        ["fenced 0 1 * * *"],
      );
      const again = await client.recordSchedule({ schedulerToken: 2n, scheduleId, version });
      assert.equal(again.recorded, true);
    } finally {
      await execute(database.db, "delete from lease where name = 'scheduler'");
    }
    await store.client.removeWindow({ schedulerToken, name: "fenced" });
  });

  it("should keep a window as long as a schedule or a request that is not over names it", async () => {
    const duration = durationFromMs(7_200_000);
    const window = { name: "NIGHT", cron: "0 1 * * *", timeZone: "Europe/Berlin", duration };
    await store.client.storeWindow({ schedulerToken, window });
    // Again, as it is: nothing changes, and it is no error.
    await store.client.storeWindow({ schedulerToken, window });
    const { windows } = await other.client.readWindows({});
    assert.equal(windows.length, 1);
    assert.equal(windows[0]?.timeZone, "Europe/Berlin");
    assert.equal(windows[0]?.duration?.seconds, 7_200n);

    const { hostId } = await openSession(store, "h-window");
    const { request } = await createSample(store, {
      stages: [[{ role: "A", hosts: [hostId] }]],
      header: { options: { window: "NIGHT" } },
    });
    await make("nightly", { window: "NIGHT" });
    await make("other", { window: "DAY" });
    const remove = () => store.client.removeWindow({ schedulerToken, name: "NIGHT" });
    const id = request?.requestId;
    await fails(
      remove(),
      Code.FailedPrecondition,
      new RegExp(`needed by schedule nightly and request ${id};`),
    );
    await store.client.removeSchedule({ schedulerToken, name: "nightly" });
    await fails(remove(), Code.FailedPrecondition, new RegExp(`needed by request ${id};`));
    await execute(database.db, "update request set open = null");
    await remove();
    assert.deepEqual((await store.client.readWindows({})).windows, []);
    await fails(remove(), Code.NotFound, /there is no window NIGHT/);
  });
});
