import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { findProcesses } from "@howdah/launcher/find-processes";
import { DispatcherService } from "@howdah/proto/howdah/v1/dispatcher_service";
import { Concurrency } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import { type Fleet, healthyHosts, over, runLine, startFleet, tasksOf, until } from "./fleet.js";
import { directly, reaches } from "./replicas.js";

describe("a host whose disk was wiped", () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await startFleet({ agents: 1 });
  });
  after(() => fleet?.stop());

  /** Runs a line on the host, which first writes its name where no wiped disk takes it along. */
  function run(name: string, line: string): Promise<bigint> {
    const noted = `echo ${name} >> ${join(fleet.dir, "ran.log")}; ${line}`;
    return runLine(fleet, noted, ["host1"], { concurrency: Concurrency.PARALLEL });
  }

  const runs = () => readFileSync(join(fleet.dir, "ran.log"), "utf8").trimEnd().split("\n");

  async function journalId(): Promise<string> {
    return until("a session", async () => {
      const { sessions } = await directly(
        fleet.installation.dispatcher,
        DispatcherService,
        (client) => client.listSessions({}),
      );
      return sessions[0]?.journalId;
    });
  }

  /** The host goes down with all that runs on it, loses its disk, and comes back with a new agent. */
  async function wipe(): Promise<void> {
    const [agent] = fleet.installation.agents;
    assert.ok(agent);
    agent.kill();
    await agent.exited;
    const prefix = fleet.prefix("host1");
    const all = await findProcesses((args) => args.some((arg) => arg.includes(`${prefix}/`)));
    for (const { pid } of all) process.kill(pid, "SIGKILL");
    for (const name of readdirSync(prefix)) {
      if (name !== "conf") rmSync(join(prefix, name), { recursive: true, force: true });
    }
    await agent.restart();
    await healthyHosts(fleet, 1);
  }

  it("loses what it had to do: UNKNOWN, never run again unasked, and run again when a person insists", async () => {
    const running = await run("running", "sleep 600");
    await reaches(fleet, running, Status.IN_PROGRESS);
    // Its agent gets no further than to have it in its socket.
    fleet.installation.agents[0]?.kill("SIGSTOP");
    const sent = await run("sent", "true");
    await reaches(fleet, sent, Status.QUEUED);
    const journal = await journalId();

    await wipe();
    assert.notEqual(await journalId(), journal, "a new journal begins");
    for (const requestId of [running, sent]) {
      assert.equal(Status[(await over(fleet, requestId)).status], "UNKNOWN");
      const [task] = await tasksOf(fleet, requestId);
      assert.equal(Status[task?.status ?? 0], "UNKNOWN");
      assert.match(task?.reason ?? "", /journal/);
    }
    const later = await run("later", "true");
    assert.equal(Status[(await over(fleet, later)).status], "COMPLETED", "it works again");
    assert.deepEqual(runs(), ["running", "later"]);

    const error = await fleet.requests.retryRequest({ requestId: sent }).catch(ConnectError.from);
    assert.ok(error instanceof ConnectError);
    assert.equal(error.code, Code.FailedPrecondition);
    assert.match(error.rawMessage, /UNKNOWN.*force/);
    await fleet.requests.retryRequest({ requestId: sent, force: true });
    assert.equal(Status[(await over(fleet, sent)).status], "COMPLETED");
    assert.equal((await tasksOf(fleet, sent))[0]?.attempt, 2);
    assert.deepEqual(runs(), ["running", "later", "sent"]);
  });
});
