import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Mariadb, startMariadb } from "@howdah/launcher/start-mariadb";
import { HostState } from "@howdah/proto/howdah/v1/fleet";
import { Status } from "@howdah/proto/howdah/v1/status";
import { type Fleet, healthyHosts, over, runLine, startFleet, tasksOf, until } from "./fleet.js";

describe("MySQL away while commands run", () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await startFleet({
      agents: 2,
      privateDatabase: true,
      env: { HOWDAH_LOST_AFTER: "5s" },
    });
  });
  let again: Mariadb | undefined;
  after(async () => {
    await fleet?.stop();
    await again?.stop();
  });

  it("loses nothing: streams stay up, no host is lost, results arrive when it is back", async () => {
    const gate = join(fleet.dir, "gate");
    const line = `echo ran >> $HOWDAH_PREFIX/ran.log; while [ ! -e ${gate} ]; do sleep 0.05; done; echo done`;
    const requestId = await runLine(fleet, line, ["*"]);
    await until("both to run", async () =>
      (await tasksOf(fleet, requestId)).every((task) => task.status === Status.IN_PROGRESS),
    );
    const { mariadb } = fleet.installation;
    assert.ok(mariadb);
    await mariadb.kill();
    await assert.rejects(fleet.store.getRequest({ requestId }), /unavailable/i);
    writeFileSync(gate, "");
    // The time without a database is what is tested here: longer than leases last, and than hosts may be silent.
    await sleep(Number(process.env.HOWDAH_TEST_OUTAGE_MS ?? 25_000));
    again = await startMariadb({
      dataDir: join(fleet.dir, "mariadb"),
      durable: true,
      port: mariadb.port,
    });
    const ended = await over(fleet, requestId);
    assert.equal(Status[ended.status], "COMPLETED");
    await healthyHosts(fleet, 2);
    const { hosts } = await fleet.fleet.listHosts({});
    assert.deepEqual(
      hosts.map((host) => [host.state, host.sessionEpoch]),
      hosts.map(() => [HostState.HEALTHY, 1n]),
      "the agents kept their sessions",
    );
  });
});
