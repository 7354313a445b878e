import assert from "node:assert/strict";
import { hostname } from "node:os";
import { after, before, describe, it } from "node:test";
import { Status } from "@howdah/proto/howdah/v1/status";
import { type Fleet, outputOf, over, startFleet, tasksOf, until } from "./fleet.js";

describe("a command line on hosts", () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await startFleet({ agents: 3 });
  });
  after(() => fleet?.stop());

  async function run(argv: string[], names = ["*"]): Promise<bigint> {
    const { request } = await fleet.requests.submitRequest({
      operation: { kind: { case: "adHoc", value: { argv, hosts: { names } } } },
    });
    assert.ok(request);
    return request.requestId;
  }

  it("answers from all agents well under a second on an idle system", async (t) => {
    await over(fleet, await run(["true"]));
    // Not a benchmark: a guard against a lost hint, which the reconcile pass would only find after seconds. The best of three, for a
    // machine that is busy with other tests.
    let bestMs = Number.POSITIVE_INFINITY;
    let id = 0n;
    for (let round = 0; round < 3; round += 1) {
      const began = performance.now();
      id = await run(["hostname"]);
      const request = await over(fleet, id);
      bestMs = Math.min(bestMs, performance.now() - began);
      assert.equal(Status[request.status], "COMPLETED");
    }
    t.diagnostic(`three hosts in ${Math.round(bestMs)} ms`);
    assert.ok(bestMs < 1_000, `took ${bestMs} ms`);
    for (const task of await tasksOf(fleet, id)) {
      assert.equal(await outputOf(fleet, task.taskId), `${hostname()}\n`);
    }
  });

  it("selects hosts by range, passes arguments as they are, and runs a single line by the shell", async () => {
    const id = await run(["printf", "%s|", "a b", "$HOME", "*"], ["host[1-2]"]);
    assert.equal(Status[(await over(fleet, id)).status], "COMPLETED");
    const tasks = await tasksOf(fleet, id);
    assert.deepEqual(
      tasks.map((task) => task.hostName),
      ["host1", "host2"],
    );
    const [first] = tasks;
    assert.ok(first);
    assert.equal(await outputOf(fleet, first.taskId), "a b|$HOME|*|");
    const line = await run(["echo one; echo two >&2; exit 3"], ["host3"]);
    const request = await over(fleet, line);
    assert.equal(Status[request.status], "FAILED");
    const [task] = await tasksOf(fleet, line);
    assert.ok(task);
    assert.equal(task.exitCode, 3);
    assert.match(await outputOf(fleet, task.taskId), /^one\n$/);
    assert.match(await outputOf(fleet, task.taskId, 2), /^two\n$/);
  });

  it("keeps output as bytes, and head and tail of more than the cap", async () => {
    const id = await run(
      ["printf '\\377\\376'; head -c 100000000 /dev/zero | tr '\\0' x; echo end"],
      ["host1"],
    );
    assert.equal(Status[(await over(fleet, id)).status], "COMPLETED");
    const [task] = await tasksOf(fleet, id);
    assert.ok(task);
    const chunks: Uint8Array[] = [];
    let next = 0n;
    for await (const { offset, data } of fleet.store.readTaskOutput({
      taskId: task.taskId,
      follow: true,
    })) {
      assert.equal(offset, next, "no gap and no repeat");
      next += BigInt(data.length);
      chunks.push(data);
    }
    const output = Buffer.concat(chunks);
    assert.ok(
      output.length <= 64 << 20 && output.length > (64 << 20) - 100,
      `${output.length} bytes`,
    );
    assert.deepEqual([...output.subarray(0, 3)], [0xff, 0xfe, "x".charCodeAt(0)]);
    assert.match(output.toString("latin1"), /\[howdah: \d+ bytes left out here/);
    assert.match(output.subarray(-100).toString(), /xend\n$/);
  });

  it("cancels what runs, with all it started, and what waits behind it", async () => {
    const first = await run(["sh -c 'setsid sleep 300 & sleep 300'"], ["host1"]);
    const second = await run(["echo never"], ["host1"]);
    const running = await until("the first to run", async () =>
      (await tasksOf(fleet, first)).find((task) => task.status === Status.IN_PROGRESS),
    );
    await fleet.requests.cancelRequest({ requestId: second, reason: "not wanted" });
    await fleet.requests.cancelRequest({ requestId: first, reason: "enough" });
    for (const id of [first, second]) {
      const request = await over(fleet, id);
      assert.equal(Status[request.status], "ABORTED");
    }
    assert.match(await outputOf(fleet, running.taskId, 2), /Command aborted\. Reason: 'enough'/);
    await assert.rejects(fleet.requests.cancelRequest({ requestId: first }), /is over/);
  });
});
