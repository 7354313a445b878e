import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { createDatabase } from "@howdah/launcher/create-database";
import { Concurrency } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import { createConnection } from "mysql2/promise";
import {
  type Fleet,
  healthyHosts,
  outputOf,
  over,
  runLine,
  startFleet,
  tasksOf,
  until,
} from "./fleet.js";
import { reaches } from "./replicas.js";

describe("a database that was made anew, under agents that served the one before", () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await startFleet({ agents: 1 });
  });
  after(() => fleet?.stop());

  const file = (name: string) => join(fleet.dir, name);

  /** Runs a line on the host, beside what else runs there. */
  const run = (line: string) =>
    runLine(fleet, line, ["host1"], { concurrency: Concurrency.PARALLEL });

  const waitFor = (name: string) => `until [ -e ${file(name)} ]; do sleep 0.1; done`;

  /** Stops the services, drops the database with all that is in it, and starts them again on an empty one. */
  async function makeAnew(): Promise<void> {
    const { databaseUrl, scheduler, dispatcher, commandStore } = fleet.installation;
    for (const unit of [scheduler, dispatcher, commandStore]) await unit.stop();
    const name = new URL(databaseUrl).pathname.slice(1);
    const connection = await createConnection(databaseUrl);
    await connection.query(`drop database ${name}`);
    await connection.end();
    await createDatabase(databaseUrl, name);
    for (const unit of [commandStore, dispatcher, scheduler]) await unit.restart();
  }

  it("never meets their answers: the same ids are new tasks, and what ran before changes nothing", async () => {
    const old = [
      await run(`${waitFor("old-1")}; echo old; touch ${file("ended-1")}`),
      await run(`${waitFor("old-2")}; touch ${file("ended-2")}; exit 9`),
    ];
    for (const id of old) await reaches(fleet, id, Status.IN_PROGRESS);
    const former = (await Promise.all(old.map((id) => tasksOf(fleet, id)))).flat();

    await makeAnew();
    await healthyHosts(fleet, 1);
    const fresh = [
      await run(`${waitFor("new-1")}; echo new`),
      await run(`${waitFor("new-2")}; echo new`),
    ];
    for (const id of fresh) await reaches(fleet, id, Status.IN_PROGRESS);
    const tasks = (await Promise.all(fresh.map((id) => tasksOf(fleet, id)))).flat();
    assert.deepEqual(
      tasks.map(({ taskId, attempt }) => [taskId, attempt]),
      former.map(({ taskId, attempt }) => [taskId, attempt]),
      "they have the very ids",
    );

    // What the agent still ran for the former database ends, one well and one badly.
    writeFileSync(file("old-1"), "");
    writeFileSync(file("old-2"), "");
    await until("the old commands to have ended", () =>
      ["ended-1", "ended-2"].every((name) => existsSync(file(name))),
    );
    const later = await run("true");
    await over(fleet, later);
    for (const id of fresh) await reaches(fleet, id, Status.IN_PROGRESS);
    writeFileSync(file("new-1"), "");
    writeFileSync(file("new-2"), "");
    for (const [at, id] of fresh.entries()) {
      assert.equal(Status[(await over(fleet, id)).status], "COMPLETED");
      assert.equal(await outputOf(fleet, tasks[at]?.taskId ?? 0n), "new\n");
    }
    const { requests } = await fleet.store.listRequests({});
    assert.equal(requests.length, 3);
  });
});
