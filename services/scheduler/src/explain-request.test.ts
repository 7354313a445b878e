import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { eventually } from "./testing/eventually.js";
import { fails, serve } from "./testing/service.js";

describe("explainRequest", () => {
  it("names the hosts that are away and have tasks that are not done, lost or disconnected", async (t) => {
    const { world, store, client } = await serve(t);
    const d = await world.dispatcher();
    for (const host of [1, 2, 3]) d.open(host, 1);
    await eventually("the dispatcher is watched", () => d.watched);
    const requestId = store.addRequest([[{ role: "A", hosts: [1, 1, 2, 3] }]]);
    const explain = () => client.explainRequest({ requestId }).catch(() => undefined);
    await eventually("nobody is away", async () => (await explain())?.awayHostCount === 0);
    await world.statuses(requestId, "QUEUED", "QUEUED", "QUEUED", "QUEUED");
    // A command that is handed over after its host went is taken back: its task would be PENDING.
    await eventually("all are handed over", () => d.taskIds.length === 4);
    // Silent for as long as the lost interval already; the other has just gone.
    d.close(1, 30_000);
    d.close(2);
    const found = await eventually("both are away, one lost", async () => {
      const now = await explain();
      return now?.awayHostCount === 2 && now.awayHosts.some(({ lost }) => lost) && now;
    });
    assert.deepEqual(
      found.awayHosts.map(({ hostName, lost }) => [hostName, lost]),
      [
        ["h1", true],
        ["h2", false],
      ],
    );
    assert.equal(found.taskCount, 3);
    assert.ok((found.awayHosts[0]?.awayMs ?? 0n) >= 30_000n);

    const { waits: lost } = await client.explainTask({ taskId: 1n });
    const text =
      /^its host's agent is not connected: not heard of for 3\d s, its host is HEARTBEAT_LOST$/;
    assert.match(lost[0]?.text ?? "", text);
    const { waits: away } = await client.explainTask({ taskId: 3n });
    assert.match(
      away[0]?.text ?? "",
      /not connected: not heard of for \d s, lost in \d\d s unless/,
    );

    d.open(1, 2);
    await eventually("it is back", async () => (await explain())?.awayHostCount === 1);
    for (const task of [1n, 2n, 3n, 4n]) {
      d.tell(store.report(task, TaskEvent.STARTED), store.report(task, TaskEvent.SUCCEEDED));
    }
    await eventually("it is over", async () => (await explain())?.awayHostCount === 0);
  });

  it("says what it cannot explain", async (t) => {
    const { client } = await serve(t);
    await fails(client.explainRequest({ requestId: 99n }), Code.NotFound, /99/);
    await fails(client.explainRequest({}), Code.InvalidArgument, /request_id/);
  });
});
