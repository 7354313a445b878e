import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { DispatcherService } from "@howdah/proto/howdah/v1/dispatcher_service";
import { RequestService } from "@howdah/proto/howdah/v1/request_service";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import type { Lease } from "@howdah/proto/howdah/v1/store_leases";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import {
  applyTestCluster,
  type Fleet,
  over,
  ran,
  startFleet,
  submit,
  tasksOf,
  tell,
  until,
} from "./fleet.js";
import { startOperators } from "./operators.js";
import {
  directly,
  type Held,
  logOf,
  nextLeader,
  schedulerLease,
  schedulers,
  startHeld,
  unitOf,
} from "./replicas.js";

describe("a scheduler that was stopped for longer than its lease", () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await startFleet({ agents: 4, replicas: { scheduler: 2 } });
    await applyTestCluster(fleet, ["host1", "host2"]);
  });
  after(() => fleet?.stop());

  /** The store and the dispatcher refuse what somebody with the former token says about a task that runs. */
  async function refused({ requestId }: Held, former: Lease): Promise<void> {
    const [task] = await tasksOf(fleet, requestId);
    assert.ok(task);
    const { taskId, hostId, attempt } = task;
    const event = TaskEvent.DEADLINE_PASSED;
    const transitions = [{ taskId, hostId, attempt, event }];
    const { results } = await directly(
      unitOf(fleet, "command-store", 1),
      CommandStoreService,
      (client) =>
        client.recordTransitions({
          schedulerToken: former.token,
          requests: [{ requestId, transitions }],
        }),
    );
    assert.equal(results[0]?.staleOwner, true);
    assert.deepEqual(results[0]?.changes, []);
    await directly(unitOf(fleet, "dispatcher", 1), DispatcherService, async (client) => {
      const schedulerToken = former.token;
      const cancels = [{ hostId, taskId, attempt }];
      for (const call of [
        client.cancelCommands({ schedulerToken, cancels }),
        client.enqueueCommands({ schedulerToken, commands: [] }),
      ]) {
        const error = await call.then(() => undefined, ConnectError.from);
        assert.equal(error?.code, Code.FailedPrecondition);
        assert.match(error.rawMessage, /out of date, a newer scheduler with token/);
      }
    });
    const [same] = await tasksOf(fleet, requestId);
    assert.equal(Status[same?.status ?? 0], "IN_PROGRESS");
  }

  it("changes nothing any more: what it wants is refused, nothing runs twice, and it stands by again", async (t) => {
    const gate = join(fleet.dir, "gate");
    tell(fleet, "host1", "LEADER-START", { wait_for: gate });
    const start = await submit(fleet, RoleCommand.START);
    await until("LEADER's script to run", () =>
      ran(fleet, "host1").some((line) => line.startsWith("START LEADER")),
    );
    const held = await startHeld(fleet, "held", ["host3"]);
    const cancelled = await startHeld(fleet, "cancelled", ["host4"]);
    const former = await schedulerLease(fleet);
    const { leader, standby } = await schedulers(fleet);
    const log = logOf(leader);

    leader.kill("SIGSTOP");
    // Half of these go to the one that is stopped, on connections that stay.
    const operators = startOperators(fleet, "host3");
    t.after(() => operators.stop());
    const tookMs = await nextLeader(fleet, former);
    assert.ok(tookMs < 10_000, `the standby took ${Math.round(tookMs)} ms`);
    // The new one finishes a request, and cancels another, of which the old one will still think that they run.
    writeFileSync(gate, "");
    assert.equal(Status[(await over(fleet, start)).status], "COMPLETED");
    await directly(standby, RequestService, (client) =>
      client.cancelRequest({ requestId: cancelled.requestId }),
    );
    assert.equal(Status[(await over(fleet, cancelled.requestId)).status], "ABORTED");
    const finished = await tasksOf(fleet, start);
    await refused(held, former);

    await until("operators to be answered", () => operators.answered > 60);
    await operators.stop();
    assert.deepEqual(operators.failed, []);
    assert.ok(operators.slowestMs < 25_000, `the slowest took ${operators.slowestMs} ms`);

    // An operator's call that waits for the old one when it wakes up: it cannot do it, and has the new one do it.
    const late = directly(leader, RequestService, async (client) => {
      return client.cancelRequest({ requestId: held.requestId, reason: "by the old one" });
    });
    leader.kill("SIGCONT");
    assert.equal((await late).request?.requestId, held.requestId);
    assert.equal(Status[(await over(fleet, held.requestId)).status], "ABORTED");
    await until("it to stand by", () => log.since().includes("standing by"));
    assert.match(log.since(), /knows a newer scheduler|another scheduler owns|lost the lease/);

    const lease = await schedulerLease(fleet);
    assert.equal(lease.token, former.token + 1n, "the new one leads on");
    assert.deepEqual(await tasksOf(fleet, start), finished, "nothing of what has ended changed");
    const lines = ["host1", "host2"].flatMap((host) => ran(fleet, host));
    assert.equal(lines.length, finished.length, `each script ran once: ${lines.join("; ")}`);
    for (const [one, host] of [[held, "host3"] as const, [cancelled, "host4"] as const]) {
      assert.equal(one.runs(host), 1);
    }
  });
});
