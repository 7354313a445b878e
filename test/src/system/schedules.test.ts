// Schedules and maintenance windows with two real schedulers, of which the one that leads is killed.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Request } from "@howdah/proto/howdah/v1/request";
import {
  MissedPolicy,
  OverlapPolicy,
  type Schedule,
  ScheduleOutcome,
} from "@howdah/proto/howdah/v1/schedule";
import { Status } from "@howdah/proto/howdah/v1/status";
import { type Fleet, over, startFleet, tasksOf, until } from "./fleet.js";
import { howdah } from "./howdah.js";
import { logOf, nextLeader, schedulerLease, schedulers } from "./replicas.js";

describe("schedules and windows with two schedulers", () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await startFleet({
      agents: 1,
      replicas: { scheduler: 2 },
      env: { HOWDAH_SCHEDULE_LATENESS: "3s" },
    });
  });
  after(async () => {
    await fleet?.stop();
  });

  const log = (name: string) => join(fleet.dir, `${name}.log`);

  /** A command line that leaves a line in a log of its own. */
  function leaving(name: string) {
    const value = { argv: [`echo ran >> ${log(name)}`], hosts: { names: ["host1"] } };
    return { kind: { case: "adHoc" as const, value } };
  }

  function runs(name: string): number {
    return existsSync(log(name)) ? readFileSync(log(name), "utf8").split("\n").length - 1 : 0;
  }

  async function schedule(name: string): Promise<Schedule> {
    const { schedule: found } = await fleet.schedules.getSchedule({ name });
    assert.ok(found);
    return found;
  }

  /** The requests that a schedule has made, oldest first, by the due time in their key. */
  async function made(scheduleId: bigint): Promise<{ due: number; request: Request }[]> {
    const { requests } = await fleet.store.listRequests({ pageSize: 1_000 });
    return requests.reverse().flatMap((request) => {
      const [, id, due] = /^schedule\/(\d+)\/(\d+)$/.exec(request.idempotencyKey) ?? [];
      return id === String(scheduleId) ? [{ due: Number(due), request }] : [];
    });
  }

  /** Waits until a schedule has made so many requests for due times after one. */
  function madeAfter(scheduleId: bigint, due: number, count: number) {
    return until(`${count} further requests`, async () => {
      const further = (await made(scheduleId)).filter((each) => each.due > due);
      return further.length >= count && further;
    });
  }

  it("make exactly one request for each due time while the leader is killed -9, twice", async () => {
    const { schedule: put } = await fleet.schedules.putSchedule({
      spec: {
        ...{ name: "each-second", cron: "* * * * * *", overlap: OverlapPolicy.RUN },
        operation: leaving("each-second"),
      },
    });
    const id = put?.scheduleId ?? 0n;
    let lastDue = 0;
    for (let kill = 1; kill <= 2; kill += 1) {
      lastDue = (await madeAfter(id, lastDue, 3)).at(-1)?.due ?? 0;
      const former = await schedulerLease(fleet);
      const { leader, standby } = await schedulers(fleet);
      const said = logOf(standby);
      leader.kill();
      await leader.exited;
      await nextLeader(fleet, former);
      lastDue = (await madeAfter(id, lastDue, 1)).at(-1)?.due ?? 0;
      await until("the new leader to say what was missed", () =>
        /"schedule":"each-second".*due times were missed before it/.test(said.since()),
      );
      await leader.restart();
    }
    await madeAfter(id, lastDue, 3);
    await fleet.schedules.setScheduleEnabled({ name: "each-second", enabled: false });

    const all = await made(id);
    for (const { request } of all) {
      const { status } = await over(fleet, request.requestId);
      assert.equal(Status[status], "COMPLETED");
    }
    const dues = all.map(({ due }) => due);
    assert.equal(new Set(dues).size, dues.length, "a due time has two requests");
    assert.ok(dues.every((due) => due % 1_000 === 0));
    assert.equal(runs("each-second"), dues.length, "a command ran more often than it was due");
    const gaps = dues.slice(1).filter((due, at) => due - (dues[at] ?? 0) > 1_000);
    assert.ok(gaps.length <= 2, `left out without a reason: ${gaps.length} gaps in ${dues}`);
  });

  it("after an outage skip what was missed and say so, or catch up on it with one run", async () => {
    const at = timestampFromMs(Date.now() + 4_000);
    const put = (name: string, more: object) =>
      fleet.schedules.putSchedule({ spec: { name, operation: leaving(name), ...more } });
    await put("skipped", { at });
    await put("caught-up", { at, missed: MissedPolicy.RUN_ONCE });
    const { schedule: cron } = await put("cron", {
      ...{ cron: "*/2 * * * * *", missed: MissedPolicy.RUN_ONCE, overlap: OverlapPolicy.RUN },
    });
    const units = fleet.installation.services.scheduler;
    for (const unit of units) {
      unit.kill();
      await unit.exited;
    }
    const killedAt = Date.now();
    await until("the outage to last", () => Date.now() > timestampMs(at) + 5_000);
    const restartedAt = Date.now();
    for (const unit of units) await unit.restart();

    const settled = (name: string) =>
      until(`schedule ${name} to be dealt with`, async () => {
        const found = await schedule(name);
        return found.lastDueAt !== undefined && found.lastOutcome > 1 && found;
      });
    const skipped = await settled("skipped");
    assert.equal(ScheduleOutcome[skipped.lastOutcome], "SKIPPED");
    assert.match(skipped.lastOutcomeText, /^missed: nobody could run it when it was due/);
    const caught = await settled("caught-up");
    assert.equal(ScheduleOutcome[caught.lastOutcome], "SUBMITTED");
    assert.equal((await over(fleet, caught.lastRequestId)).status, Status.COMPLETED);
    assert.deepEqual([runs("skipped"), runs("caught-up")], [0, 1]);
    assert.deepEqual([skipped.nextDueAt, caught.nextDueAt], [undefined, undefined]);

    const id = cron?.scheduleId ?? 0n;
    await madeAfter(id, restartedAt + 2_000, 1);
    const missed = (await made(id)).filter(({ due }) => due > killedAt && due < restartedAt);
    assert.ok(missed.length <= 1, `${missed.length} runs for what was missed`);
    await fleet.schedules.deleteSchedule({ name: "cron" });
    const { stdout } = await howdah(fleet, "schedules");
    assert.match(stdout, /\nskipped .* SKIPPED /);
    assert.match(stdout, /\ncaught-up .* SUBMITTED +\d+ +run `echo ran/);
  });

  it("a window that opens releases its requests only then, although the leader is killed meanwhile", async () => {
    // All of this must be done while it is shut: on a busy machine that takes longer.
    const began = performance.now();
    await howdah(fleet, "window", "list");
    const enoughMs = 18_000 + 10 * (performance.now() - began);
    const opens = new Date(Math.ceil((Date.now() + enoughMs) / 1_000) * 1_000);
    const cron = `${opens.getUTCSeconds()} ${opens.getUTCMinutes()} ${opens.getUTCHours()} * * *`;
    const added = await howdah(fleet, "window", "add", "NIGHT", "--cron", cron, "--duration", "1h");
    assert.match(added.stdout, /^window NIGHT: shut, opens /, added.stderr);
    const line = `run -d --hosts host1 --window NIGHT -- echo ran >> ${log("night")}`.split(" ");
    const command = [...line.slice(0, 7), line.slice(7).join(" ")];
    const submitted = await howdah(fleet, ...command);
    assert.equal(submitted.code, 0, submitted.stderr);
    const requestId = BigInt(/^request (\d+);/.exec(submitted.stdout)?.[1] ?? 0);
    const [task] = await tasksOf(fleet, requestId);
    const why = await howdah(fleet, "why", String(task?.taskId));
    assert.match(why.stdout, /window NIGHT is shut until .*Z, and open then until/);
    // What does not name it goes on meanwhile, on the same host.
    const plain = await howdah(fleet, "run", "--hosts", "host1", "--", "true");
    assert.equal(plain.code, 0, plain.stderr);

    const refused = await howdah(fleet, "window", "delete", "NIGHT");
    assert.equal(refused.code, 4);
    assert.match(refused.stderr, new RegExp(`window NIGHT is needed by request ${requestId};`));

    const former = await schedulerLease(fleet);
    const { leader } = await schedulers(fleet);
    leader.kill();
    await leader.exited;
    await nextLeader(fleet, former);
    assert.ok(Date.now() < opens.getTime(), "the take-over was to end before the window opens");
    assert.equal((await tasksOf(fleet, requestId))[0]?.status, Status.PENDING);

    const { status, times } = await over(fleet, requestId, enoughMs + 60_000);
    assert.equal(Status[status], "COMPLETED");
    assert.ok(times?.startedAt && timestampMs(times.startedAt) >= opens.getTime(), "it ran early");
    assert.equal(runs("night"), 1);
    assert.match((await howdah(fleet, "window", "list")).stdout, /\nNIGHT +OPEN /);
    const deleted = await howdah(fleet, "window", "delete", "NIGHT");
    assert.equal(deleted.stdout, "window NIGHT is deleted\n", deleted.stderr);
    await leader.restart();
  });
});
