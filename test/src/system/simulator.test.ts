import assert from "node:assert/strict";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { OnFailure } from "@howdah/proto/howdah/v1/operation";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import type { Told } from "@howdah/simulator/tally";
import { connectionsTo } from "@howdah/simulator/testing/connections";
import { type Simulator, startSimulator } from "@howdah/simulator/testing/simulator-process";
import { agentsDoor } from "./extra-agent.js";
import {
  applyTestCluster,
  type Fleet,
  outputOf,
  over,
  pushStack,
  root,
  runLine,
  startFleet,
  submit,
  tasksOf,
  until,
} from "./fleet.js";
import { howdah } from "./howdah.js";

const agents = 50;

describe("simulated agents", () => {
  let fleet: Fleet;
  const simulators: Simulator[] = [];
  before(async () => {
    fleet = await startFleet({ agents: 0 });
  });
  // A test that failed leaves its hosts to none of the others.
  afterEach(() => Promise.all(simulators.splice(0).map((one) => one.stop())));
  after(() => fleet?.stop());

  function simulate(...args: string[]): Simulator {
    const simulator = startSimulator(agentsDoor(fleet), ...args);
    simulators.push(simulator);
    return simulator;
  }

  const count = (simulator: Simulator, what: string, holds: (counts: Told) => boolean) =>
    until(`${what}; told were ${JSON.stringify(simulator.counts())}`, () => {
      const counts = simulator.counts();
      return counts !== undefined && holds(counts) && counts;
    });

  const allConnected = (simulator: Simulator, many = agents) =>
    count(simulator, `${many} to be connected`, ({ connected }) => connected === many);

  it("have a connection each, run what is asked of them, fail as told and say goodbye", async () => {
    const args = ["--duration", "5ms-50ms", "--failure-rate", "0.3", "--output", "1000"];
    const simulator = simulate("--agents", String(agents), ...args);
    await allConnected(simulator);
    const sockets = connectionsTo(Number(agentsDoor(fleet).split(":").at(-1)));
    assert.equal(new Set(sockets).size, agents, "a socket for each agent");
    const { hosts } = await fleet.fleet.listHosts({});
    assert.deepEqual(hosts[0]?.labels, { simulated: "true" });

    // Else what a host has not been sent yet is aborted once another one has failed.
    const options = { onFailure: OnFailure.CONTINUE };
    const submits = [1, 2, 3, 4].map(() => runLine(fleet, "true", ["sim-*"], options));
    const ids = await Promise.all(submits);
    for (const id of ids) await over(fleet, id);
    const tasks = (await Promise.all(ids.map((id) => tasksOf(fleet, id)))).flat();
    const failed = tasks.filter(({ status }) => status === Status.FAILED);
    const completed = tasks.filter(({ status }) => status === Status.COMPLETED);
    assert.equal(failed.length + completed.length, 4 * agents);
    // 200 throws of a die that fails in 30 % of them: outside of this once in ten million times.
    assert.ok(failed.length > 25 && failed.length < 100, `${failed.length} of 200 failed`);
    await count(
      simulator,
      `${completed.length} completed and ${failed.length} failed`,
      (counts) => counts.completed === completed.length && counts.failed === failed.length,
    );
    for (const [task, code] of [[completed[0], 0] as const, [failed[0], 1] as const]) {
      assert.ok(task);
      assert.equal(task.exitCode, code);
      const text = await outputOf(fleet, task.taskId);
      assert.equal(text.length, 1_000);
      assert.ok(text.startsWith(`task ${task.taskId}, attempt 1, line 1 `));
    }
    assert.match(await outputOf(fleet, failed[0]?.taskId ?? 0n, 2), /was to fail/);

    assert.equal(await simulator.stop(), 0);
    assert.equal(simulator.counts()?.connected, 0);
    await until("no host to be connected", async () => {
      const { hosts } = await fleet.fleet.listHosts({});
      return hosts.every(({ connected }) => !connected);
    });
  });

  it("lose nothing when the dispatcher is killed and started again", async () => {
    const simulator = simulate("--agents", String(agents), "--duration", "1s-3s");
    await allConnected(simulator);
    const ids = await Promise.all([1, 2].map(() => runLine(fleet, "true", ["sim-*"])));
    await count(simulator, "commands to run", ({ running }) => running === agents);
    fleet.installation.dispatcher.kill();
    await fleet.installation.dispatcher.exited;
    await fleet.installation.dispatcher.restart();
    for (const id of ids) {
      const { status } = await over(fleet, id);
      assert.equal(Status[status], "COMPLETED");
    }
    const tasks = (await Promise.all(ids.map((id) => tasksOf(fleet, id)))).flat();
    assert.deepEqual([...new Set(tasks.map(({ attempt }) => attempt))], [1]);
    const counts = await count(
      simulator,
      "the counts",
      ({ completed, connected }) => completed >= 2 * agents && connected === agents,
    );
    assert.equal(counts.completed, 2 * agents);
    assert.equal(counts.failed, 0);
    assert.ok(counts.reconnects >= agents, `${counts.reconnects} reconnects`);
    assert.equal(await simulator.stop(), 0);
  });

  it("obey a cancel and a time-out, and upload what long commands write meanwhile", async () => {
    const args = ["--prefix", "slow", "--duration", "10m", "--output", "1000000"];
    const simulator = simulate("--agents", "2", ...args);
    await allConnected(simulator, 2);
    const requestId = await runLine(fleet, "true", ["slow-*"]);
    await count(simulator, "both to run", ({ running }) => running === 2);
    await fleet.requests.cancelRequest({ requestId, reason: "enough" });
    assert.equal(Status[(await over(fleet, requestId)).status], "ABORTED");
    await count(simulator, "both to be aborted", ({ aborted }) => aborted === 2);

    const value = { argv: ["true"], hosts: { names: ["slow-00001"] } };
    const { request } = await fleet.requests.submitRequest({
      operation: { kind: { case: "adHoc", value: { ...value, timeout: { seconds: 1n } } } },
    });
    const timed = request?.requestId ?? 0n;
    assert.equal(Status[(await over(fleet, timed)).status], "TIMEDOUT");
    const [task] = await tasksOf(fleet, timed);
    assert.equal(task?.exitCode, 999);
    assert.ok(task);
    const text = await outputOf(fleet, task.taskId);
    assert.equal(text.length, 1_000_000);
    const lines = text.split("\n");
    assert.ok(lines[12_345]?.startsWith(`task ${task.taskId}, attempt 1, line 12346 `));
  });

  it("have components that are what the last command made of them", async () => {
    const simulator = simulate("--agents", "3", "--prefix", "node", "--duration", "5ms");
    await allConnected(simulator, 3);
    await applyTestCluster(
      fleet,
      [1, 2, 3].map((n) => `node-0000${n}`),
    );
    const workers = async () => {
      const { hostComponents } = await fleet.fleet.listHostComponents({});
      return hostComponents.filter(({ componentName }) => componentName === "WORKER");
    };
    for (const [verb, state] of [
      [RoleCommand.INSTALL, ComponentState.INSTALLED],
      [RoleCommand.START, ComponentState.STARTED],
      [RoleCommand.STOP, ComponentState.INSTALLED],
    ] as const) {
      const ended = await over(fleet, await submit(fleet, verb));
      assert.equal(Status[ended.status], "COMPLETED");
      await until(`workers to be ${ComponentState[state]}`, async () =>
        (await workers()).every((worker) => worker.currentState === state),
      );
    }
  });

  it("answer at once when an alert is to be run, and nothing of it is kept", async () => {
    const simulator = simulate("--agents", "2", "--prefix", "watched");
    await allConnected(simulator, 2);
    await pushStack(fleet, join(root, "stacks", "HOWDAH", "1.0"));
    const on = (name: string, host: string) => ({ name, hostNames: [host] });
    const components = [
      on("MARIADB_PRIMARY", "watched-00001"),
      on("MARIADB_REPLICA", "watched-00002"),
    ];
    await fleet.fleet.applyCluster({
      ...{ name: "watched", stack: "HOWDAH/1.0", services: [{ name: "MARIADB", components }] },
      configurations: { "mariadb-env": { properties: { replication_password: "s3cret" } } },
    });
    const args = ["alert", "run", "ambari_agent_disk_usage", "--cluster", "watched"];
    const { stdout, stderr, code } = await howdah(fleet, ...args);
    const found = "SKIPPED  a simulated host, which checks nothing";
    const lines = [`watched-00001  ${found}`, `watched-00002  ${found}`, "2 SKIPPED", ""];
    assert.deepEqual(stdout.split("\n").sort(), lines.sort(), stderr);
    assert.equal(code, 0);
    const kept = await howdah(fleet, "alerts", "watched", "--name", "ambari_agent_disk_usage");
    assert.doesNotMatch(kept.stdout, /SKIPPED/);
  });
});
