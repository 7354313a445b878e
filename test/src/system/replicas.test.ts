import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Unit } from "@howdah/launcher/unit";
import { HostState } from "@howdah/proto/howdah/v1/fleet";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
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
import { type Operators, startOperators } from "./operators.js";
import {
  type Held,
  hostsAt,
  logOf,
  nextLeader,
  schedulerLease,
  schedulers,
  startHeld,
  unitOf,
} from "./replicas.js";

const hosts = ["host1", "host2", "host3", "host4"];

describe("two schedulers, two dispatchers, two command-stores behind one gateway", () => {
  let fleet: Fleet;
  let operators: Operators;
  before(async () => {
    fleet = await startFleet({
      agents: hosts.length,
      replicas: { "command-store": 2, dispatcher: 2, scheduler: 2 },
      env: { HOWDAH_DRAIN_WINDOW: "1s" },
    });
    await applyTestCluster(fleet, hosts.slice(0, 3));
    operators = startOperators(fleet, "host4");
  });
  after(async () => {
    await operators?.stop();
    await fleet?.stop();
  });

  const dispatchers = () => [unitOf(fleet, "dispatcher", 1), unitOf(fleet, "dispatcher", 2)];

  /** Ends a command that is held; all tasks completed at their first attempt, and each script ran once. */
  async function completes(held: Held): Promise<void> {
    held.release();
    const { status } = await over(fleet, held.requestId);
    assert.equal(Status[status], "COMPLETED");
    const tasks = await tasksOf(fleet, held.requestId);
    assert.deepEqual(
      tasks.map(({ attempt }) => attempt),
      tasks.map(() => 1),
    );
    for (const host of hosts) assert.equal(held.runs(host), 1, `on ${host}`);
  }

  /** Waits until all hosts have their session with this dispatcher. */
  async function allAt(dispatcher: Unit): Promise<void> {
    await until(`all hosts at ${dispatcher.name}`, async () => {
      return (await hostsAt(dispatcher)).length === hosts.length;
    });
  }

  it("spreads agents over the dispatchers", async () => {
    const spread = await until("agents at both dispatchers", async () => {
      const at = await Promise.all(dispatchers().map(hostsAt));
      if (at.flat().length < hosts.length) return undefined;
      if (at.every(({ length }) => length > 0)) return at;
      // Each agent chooses by chance: next time one may choose otherwise.
      await fleet.installation.agents[0]?.restart();
      return undefined;
    });
    assert.deepEqual(spread.flat().sort(), hosts);
  });

  it("drains one: its agents move to the other, no host is lost, and no task fails", async () => {
    const held = await startHeld(fleet, "drain", hosts);
    const [first, second] = dispatchers() as [Unit, Unit];
    await first.stop();
    await allAt(second);
    const { hosts: listed } = await fleet.fleet.listHosts({});
    assert.ok(listed.every(({ state }) => state === HostState.HEALTHY));
    await completes(held);
    await first.restart();
  });

  it("kill -9 of a dispatcher: its agents go to the other, and no task fails", async () => {
    const held = await startHeld(fleet, "kill-dispatcher", hosts);
    const [first, second] = dispatchers() as [Unit, Unit];
    assert.equal((await hostsAt(second)).length, hosts.length, "all are at the one that is killed");
    second.kill();
    await second.exited;
    await allAt(first);
    await completes(held);
    await second.restart();
  });

  it("kill -9 of the scheduler that leads: the other leads within 10 s, and the request completes", async () => {
    const gate = join(fleet.dir, "gate-scheduler");
    tell(fleet, "host1", "LEADER-START", { wait_for: gate });
    const requestId = await submit(fleet, RoleCommand.START);
    await until("LEADER's script to run", () =>
      ran(fleet, "host1").some((line) => line.startsWith("START LEADER")),
    );
    const former = await schedulerLease(fleet);
    const { leader } = await schedulers(fleet);
    const answeredBefore = operators.answered;
    leader.kill();
    writeFileSync(gate, "");
    const tookMs = await nextLeader(fleet, former);
    assert.ok(tookMs < 10_000, `it took ${Math.round(tookMs)} ms`);
    await until("operators to be answered again", () => operators.answered > answeredBefore + 10);

    assert.equal(Status[(await over(fleet, requestId)).status], "COMPLETED");
    const tasks = await tasksOf(fleet, requestId);
    assert.equal(tasks.length, 5);
    const ids = new Set(tasks.map(({ taskId }) => String(taskId)));
    const runs = hosts
      .flatMap((host) => ran(fleet, host))
      .filter((line) => ids.has(line.split(" ").at(-1) ?? ""));
    assert.equal(runs.length, tasks.length, `each script ran once: ${runs.join("; ")}`);

    const log = logOf(leader);
    await leader.restart();
    await until("it to stand by", () => log.since().includes("standing by"));
    assert.equal((await schedulerLease(fleet)).token, former.token + 1n);
  });

  it("kill -9 of a command-store in the middle: everybody uses the other one", async () => {
    const held = await startHeld(fleet, "kill-store", hosts);
    const store = unitOf(fleet, "command-store", 1);
    store.kill();
    await store.exited;
    const { answered } = operators;
    await until("operators to be answered", () => operators.answered > answered + 10);
    await completes(held);
    const { hosts: listed } = await fleet.fleet.listHosts({});
    assert.ok(listed.every(({ state }) => state === HostState.HEALTHY));
  });

  it("answered every call of the operators meanwhile, whichever scheduler it reached", async () => {
    await operators.stop();
    assert.deepEqual(operators.failed, []);
    assert.ok(operators.answered > 100, `${operators.answered} calls`);
    assert.ok(operators.slowestMs < 15_000, `the slowest took ${operators.slowestMs} ms`);
  });
});
