import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Client } from "@connectrpc/connect";
import type { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import type { StackService } from "@howdah/proto/howdah/v1/stack_service";
import { openTestDatabase, type TestDatabase } from "../testing/database.js";
import { hdfs, openFleet, readDocuments } from "../testing/sample-cluster.js";
import { addHosts, sampleStack } from "../testing/sample-fleet.js";

let database: TestDatabase;
let fleet: Client<typeof FleetService>;
let stacks: Client<typeof StackService>;

before(async () => {
  database = await openTestDatabase();
  ({ fleet, stacks } = openFleet(database.db));
  await addHosts(database.db, ["h1", "h2", "h3", "h10"], { role: "worker" });
  await stacks.pushStack({ stack: sampleStack() });
});
after(() => database.close());

describe("PushStack over a stack that clusters have", () => {
  it("gives them new metadata when it changes, and else leaves them alone", async () => {
    await stacks.pushStack({ stack: sampleStack({ version: "2.0" }) });
    await fleet.applyCluster(hdfs("follows", { stack: "SAMPLE/2.0" }));
    await stacks.pushStack({ stack: sampleStack({ version: "2.0", configurationTypes: [] }) });
    assert.equal((await fleet.getCluster({ name: "follows" })).cluster?.version, 1n);

    const newer = sampleStack({ version: "2.0" });
    for (const service of newer.services) service.version += ".1";
    await stacks.pushStack({ stack: newer });
    assert.equal((await fleet.getCluster({ name: "follows" })).cluster?.version, 2n);
    const { serviceLevelParams } = (await readDocuments(database.db, "follows")).metadata;
    assert.equal(serviceLevelParams.HDFS?.version, "3.3.1");
    assert.equal(
      (await fleet.applyCluster(hdfs("follows", { stack: "SAMPLE/2.0" }))).changes.length,
      0,
    );
  });

  it("agrees with clusters that are made at the same time", async () => {
    for (let round = 0; round < 5; round += 1) {
      const version = `3.${round}`;
      await stacks.pushStack({ stack: sampleStack({ version }) });
      const newer = sampleStack({ version });
      for (const service of newer.services) service.version = "new";
      const name = `agree-${round}`;
      await Promise.all([
        fleet.applyCluster(hdfs(name, { stack: `SAMPLE/${version}` })),
        stacks.pushStack({ stack: newer }),
      ]);
      const { serviceLevelParams } = (await readDocuments(database.db, name)).metadata;
      assert.equal(serviceLevelParams.HDFS?.version, "new", name);
    }
  });
});
