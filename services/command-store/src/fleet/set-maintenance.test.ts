import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Client, Code } from "@connectrpc/connect";
import type { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import { openTestDatabase, type TestDatabase } from "../testing/database.js";
import { rejects } from "../testing/rejects.js";
import { hdfs, openFleet } from "../testing/sample-cluster.js";
import { addHosts, sampleStack } from "../testing/sample-fleet.js";

let database: TestDatabase;
let fleet: Client<typeof FleetService>;

before(async () => {
  database = await openTestDatabase();
  const { fleet: client, stacks } = openFleet(database.db);
  fleet = client;
  await addHosts(database.db, ["h1", "h2", "h3", "h10"], { role: "worker" });
  await stacks.pushStack({ stack: sampleStack() });
  await fleet.applyCluster(hdfs("c"));
});
after(() => database.close());

/** What is in maintenance, a line each. */
async function listed(): Promise<string[]> {
  const lines: string[] = [];
  let pageToken = "";
  do {
    const page = await fleet.listMaintenance({ pageSize: 2, pageToken });
    for (const { hostName, cluster, serviceName, componentName, maintenance } of page.entries) {
      const { reason = "", since } = maintenance ?? {};
      assert.ok(Number(since?.seconds ?? 0n) > 1_700_000_000);
      const names = [cluster, serviceName, componentName, hostName].filter((name) => name !== "");
      lines.push(`${names.join(" ")}: ${reason}`);
    }
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return lines;
}

const off = async () => {
  await fleet.setMaintenance({ hosts: { names: ["*"] } });
  for (const service of ["HDFS", "ZOOKEEPER"]) await fleet.setMaintenance({ service });
  await fleet.setMaintenance({ components: ["DATANODE", "NAMENODE"] });
  assert.deepEqual(await listed(), []);
};

describe("SetMaintenance", () => {
  it("turns hosts on and off, says what changed, and shows it on the host", async () => {
    const on = { hosts: { names: ["h[1-2]"] }, on: true, reason: "new disks" };
    assert.deepEqual((await fleet.setMaintenance(on)).changes, [
      "h1 is in maintenance: new disks",
      "h2 is in maintenance: new disks",
    ]);
    assert.deepEqual((await fleet.setMaintenance(on)).changes, []);
    const { host } = await fleet.getHost({ hostName: "h1" });
    assert.equal(host?.maintenance?.reason, "new disks");
    const { hosts } = await fleet.listHosts({ brief: true });
    assert.deepEqual(
      hosts.flatMap(({ hostName, maintenance }) => (maintenance ? [hostName] : [])),
      ["h1", "h2"],
    );
    const since = host?.maintenance?.since;
    const other = { hosts: { names: ["h1"] }, on: true, reason: "new fans" };
    assert.deepEqual((await fleet.setMaintenance(other)).changes, [
      "h1 stays in maintenance, with another reason: new fans",
    ]);
    assert.deepEqual((await fleet.getHost({ hostName: "h1" })).host?.maintenance?.since, since);
    assert.deepEqual(
      (await fleet.setMaintenance({ hosts: { labels: { role: "worker" } } })).changes,
      ["h1 is no longer in maintenance", "h2 is no longer in maintenance"],
    );
    assert.equal((await fleet.getHost({ hostName: "h1" })).host?.maintenance, undefined);
  });

  it("turns services, and components on all or some of their hosts, on; lists all, in pages", async () => {
    await fleet.setMaintenance({ hosts: { names: ["h3"] }, on: true, reason: "r1" });
    const service = await fleet.setMaintenance({ service: "HDFS", on: true, reason: "r2" });
    assert.deepEqual(service.changes, ["HDFS of c is in maintenance: r2"]);
    const some = { components: ["DATANODE"], hosts: { names: ["h2"] }, on: true, reason: "r3" };
    assert.deepEqual((await fleet.setMaintenance(some)).changes, [
      "DATANODE on h2 is in maintenance: r3",
    ]);
    const all = { cluster: "c", components: ["DATANODE", "NAMENODE"], on: true };
    assert.deepEqual((await fleet.setMaintenance(all)).changes, [
      "DATANODE on h1 is in maintenance",
      "DATANODE on h2 stays in maintenance, with another reason",
      "DATANODE on h10 is in maintenance",
      "NAMENODE on h1 is in maintenance",
    ]);
    assert.deepEqual(await listed(), [
      "h3: r1",
      "c HDFS: r2",
      "c HDFS DATANODE h1: ",
      "c HDFS DATANODE h2: ",
      "c HDFS DATANODE h10: ",
      "c HDFS NAMENODE h1: ",
    ]);
    const { cluster } = await fleet.getCluster({ name: "c" });
    assert.deepEqual(
      cluster?.services.map(({ name, maintenance }) => [name, maintenance?.reason]),
      [
        ["HDFS", "r2"],
        ["ZOOKEEPER", undefined],
      ],
    );
    await off();
  });

  it("is kept when its cluster is applied again, and ends with what leaves the cluster", async () => {
    await fleet.setMaintenance({ service: "ZOOKEEPER", on: true, reason: "kept" });
    await fleet.setMaintenance({ components: ["DATANODE"], on: true, reason: "kept" });
    const before = await listed();
    await fleet.applyCluster(hdfs("c"));
    await fleet.applyCluster(hdfs("c", { configurations: { mine: { properties: { a: "1" } } } }));
    assert.deepEqual(await listed(), before);
    const { services = [] } = hdfs("c");
    const [zookeeper = {}] = services;
    const components = [
      { name: "NAMENODE", hostNames: ["h1"] },
      { name: "SECONDARY_NAMENODE", hostNames: ["h2"] },
      { name: "DATANODE", hostNames: ["h1", "h3"] },
    ];
    await fleet.applyCluster(hdfs("c", { services: [zookeeper, { name: "HDFS", components }] }));
    assert.deepEqual(await listed(), ["c HDFS DATANODE h1: kept", "c ZOOKEEPER: kept"]);
    await fleet.applyCluster(hdfs("c"));
    assert.deepEqual(await listed(), ["c HDFS DATANODE h1: kept", "c ZOOKEEPER: kept"]);
    await off();
  });

  it("names what is not there, and changes nothing then", async () => {
    const on = true;
    const hosts = (...names: string[]) => ({ hosts: { names } });
    const cases: [Parameters<typeof fleet.setMaintenance>[0], RegExp][] = [
      [{ on }, /hosts: is empty; name hosts/],
      [{ on, ...hosts("h1", "h7") }, /hosts: no agent has ever registered as h7/],
      [{ on, ...hosts("web-*") }, /hosts: web-\* selects no host/],
      [{ on, hosts: { labels: { disk: "" } } }, /hosts: disk selects no host/],
      [{ on, ...hosts("h1"), cluster: "c" }, /cluster: hosts are in maintenance for all clusters/],
      [{ on, service: "YARN" }, /service: YARN is not in cluster c, which has HDFS, ZOOKEEPER/],
      [{ on, service: "HDFS", cluster: "d" }, /cluster: no d; there are c/],
      [{ on, service: "HDFS", ...hosts("h1") }, /hosts: a service is in maintenance on all/],
      [{ on, components: ["PROBE"] }, /components: PROBE is on no host of c; there are DATANODE/],
      [{ on, components: ["DATANODE"], service: "ZOOKEEPER" }, /DATANODE is on no host of c/],
      [{ on, components: ["NAMENODE"], ...hosts("h1", "h2") }, /hosts: h2 has no NAMENODE of c/],
      [{ on, components: ["NAMENODE"], ...hosts("web-*") }, /hosts: web-\* selects no host with/],
      [{ on, ...hosts("h1"), reason: "x".repeat(256) }, /reason: has 256 characters/],
    ];
    for (const [request, message] of cases) {
      await rejects(fleet.setMaintenance(request), Code.InvalidArgument, message);
    }
    await rejects(fleet.listMaintenance({ pageToken: "x" }), Code.InvalidArgument, /page_token/);
    assert.deepEqual(await listed(), []);
  });
});
