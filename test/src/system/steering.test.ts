import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Concurrency, OnFailure } from "@howdah/proto/howdah/v1/operation";
import { Resolution } from "@howdah/proto/howdah/v1/request_service";
import { Status } from "@howdah/proto/howdah/v1/status";
import { type Fleet, over, runLine, startFleet, tasksOf, until } from "./fleet.js";

describe("steering requests, through the whole system", () => {
  let fleet: Fleet;
  const folder = mkdtempSync(join(tmpdir(), "howdah-steering-"));
  before(async () => {
    fleet = await startFleet({ agents: 3 });
  });
  after(async () => {
    await fleet?.stop();
    rmSync(folder, { recursive: true });
  });

  const file = (name: string) => join(folder, name);
  const appear = (name: string) => writeFileSync(file(name), "");

  async function statuses(requestId: bigint): Promise<string> {
    const tasks = await tasksOf(fleet, requestId);
    return tasks.map(({ status, attempt }) => `${Status[status]} ${attempt}`).join(", ");
  }

  /** Waits until the request's tasks are in these statuses and attempts. */
  async function reaches(requestId: bigint, expected: string): Promise<void> {
    await until(expected, async () => (await statuses(requestId)) === expected);
  }

  it("tries a task again by itself", async () => {
    const line = `test -e ${file("second")} || { touch ${file("second")}; exit 1; }`;
    const retry = { maxAttempts: 2, backoff: { nanos: 100_000_000 } };
    const id = await runLine(fleet, line, ["host1"], { retry });
    assert.equal(Status[(await over(fleet, id)).status], "COMPLETED");
    assert.equal(await statuses(id), "COMPLETED 2");
  });

  it("pauses a rolling request whose canary fails, resumes it, and retries what failed alone", async () => {
    const id = await runLine(fleet, `test -e ${file("ready")}`, ["*"], {
      rolling: { canary: 1, batch: { case: "batchSize", value: 1 }, maxFailures: 0 },
    });
    await reaches(id, "FAILED 1, PENDING 1, PENDING 1");
    const { request } = await fleet.store.getRequest({ requestId: id });
    assert.match(request?.pauseReason ?? "", /1 task failed, the budget is 0/);
    appear("ready");
    await fleet.requests.resumeRequest({ requestId: id });
    assert.equal(Status[(await over(fleet, id)).status], "FAILED");
    assert.equal(await statuses(id), "FAILED 1, COMPLETED 1, COMPLETED 1");
    await fleet.requests.retryRequest({ requestId: id });
    assert.equal(Status[(await over(fleet, id)).status], "COMPLETED");
    assert.equal(await statuses(id), "COMPLETED 2, COMPLETED 1, COMPLETED 1");
  });

  it("holds what failed until a person says retry", async () => {
    const id = await runLine(fleet, `test -e ${file("mended")}`, ["host2"], {
      onFailure: OnFailure.HOLD,
    });
    await reaches(id, "HOLDING_FAILED 1");
    const [task] = await tasksOf(fleet, id);
    const { waits } = await fleet.requests.explainTask({ taskId: task?.taskId ?? 0n });
    assert.deepEqual(
      waits.map(({ kind }) => kind),
      ["HOLD"],
    );
    appear("mended");
    const answer = await fleet.requests.resolveTasks({
      requestId: id,
      resolution: Resolution.RETRY,
    });
    assert.equal(answer.resolved, 1);
    assert.equal(Status[(await over(fleet, id)).status], "COMPLETED");
  });

  it("begins with a manual step: nothing runs before a person says so, nothing at all when it is given up", async () => {
    const line = `touch ${file("confirmed")}`;
    const id = await runLine(fleet, line, ["host1", "host2"], {
      confirm: "the load balancer is drained",
    });
    await reaches(id, "HOLDING 1, PENDING 1, PENDING 1");
    // The step holds up nobody else.
    assert.equal(
      Status[(await over(fleet, await runLine(fleet, "true", ["host1"]))).status],
      "COMPLETED",
    );
    const { stages } = await fleet.store.getRequest({ requestId: id });
    assert.deepEqual(
      stages[0]?.roles.map(({ role, manual }) => [role, manual]),
      [["CONFIRM", true]],
    );
    assert.ok(!existsSync(file("confirmed")));
    await fleet.requests.resolveTasks({ requestId: id, resolution: Resolution.SKIP });
    assert.equal(Status[(await over(fleet, id)).status], "COMPLETED");
    assert.ok(existsSync(file("confirmed")));

    const other = await runLine(fleet, `touch ${file("never")}`, ["host1"], { confirm: "really?" });
    await reaches(other, "HOLDING 1, PENDING 1");
    await fleet.requests.resolveTasks({ requestId: other, resolution: Resolution.ABORT });
    assert.equal(Status[(await over(fleet, other)).status], "ABORTED");
    assert.ok(!existsSync(file("never")));
  });

  it("runs a PARALLEL request beside one that is at work on the host", async () => {
    const long = await runLine(fleet, `until test -e ${file("end")}; do sleep 0.1; done`, [
      "host3",
    ]);
    await reaches(long, "IN_PROGRESS 1");
    const beside = await runLine(fleet, "true", ["host3"], { concurrency: Concurrency.PARALLEL });
    assert.equal(Status[(await over(fleet, beside)).status], "COMPLETED");
    assert.equal(await statuses(long), "IN_PROGRESS 1");
    appear("end");
    await over(fleet, long);
  });

  it("runs a cancelled request again", async () => {
    const id = await runLine(fleet, `until test -e ${file("again")}; do sleep 0.1; done`, [
      "host1",
    ]);
    await reaches(id, "IN_PROGRESS 1");
    await fleet.requests.cancelRequest({ requestId: id });
    assert.equal(Status[(await over(fleet, id)).status], "ABORTED");
    appear("again");
    await fleet.requests.retryRequest({ requestId: id });
    assert.equal(Status[(await over(fleet, id)).status], "COMPLETED");
    assert.equal(await statuses(id), "COMPLETED 2");
  });
});
