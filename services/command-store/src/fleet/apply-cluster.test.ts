import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Client, Code } from "@connectrpc/connect";
import type { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import type { StackService } from "@howdah/proto/howdah/v1/stack_service";
import { execute } from "../database/query.js";
import { openTestDatabase, type TestDatabase } from "../testing/database.js";
import { rejects } from "../testing/rejects.js";
import { hdfs, openFleet, readDocuments, type Wish } from "../testing/sample-cluster.js";
import { addHosts, sampleStack } from "../testing/sample-fleet.js";
import { mask } from "./cluster-configuration.js";

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

describe("ApplyCluster", () => {
  it("makes a cluster, says what it did, and does nothing the second time", async () => {
    const wish = hdfs("made", {
      configurations: {
        "hdfs-site": { properties: { "dfs.replication": "2" } },
        mine: { properties: { a: "1" } },
      },
    });
    const { cluster, changes } = await fleet.applyCluster(wish);
    assert.deepEqual(changes, [
      "make cluster made of stack SAMPLE/1.0",
      "add HDFS",
      "add ZOOKEEPER",
      "put DATANODE on h1, h2, h10",
      "put NAMENODE on h1",
      "put SECONDARY_NAMENODE on h2",
      "put ZOOKEEPER_SERVER on h1",
      "cluster-env: version 1",
      "hdfs-site: version 1",
      "mine: version 1, a type that the stack does not have",
      "ssl-server: version 1",
      "zoo.cfg: version 1",
    ]);
    assert.equal(cluster?.version, 1n);
    assert.equal(cluster.stack, "SAMPLE/1.0");
    assert.deepEqual(
      cluster.services.map((each) => [
        each.name,
        each.components.map((c) => [c.name, c.hostNames]),
      ]),
      [
        [
          "HDFS",
          [
            ["DATANODE", ["h1", "h2", "h10"]],
            ["NAMENODE", ["h1"]],
            ["SECONDARY_NAMENODE", ["h2"]],
          ],
        ],
        ["ZOOKEEPER", [["ZOOKEEPER_SERVER", ["h1"]]]],
      ],
    );
    assert.deepEqual(cluster.configurations["hdfs-site"]?.properties, {
      "dfs.blocksize": "1m",
      "dfs.replication": "2",
    });

    const documents = await readDocuments(database.db, "made");
    assert.equal(documents.topology.clusterId, Number(cluster.clusterId));
    assert.deepEqual(
      documents.topology.hosts.map((host) => host.hostName),
      ["h1", "h2", "h10"],
    );
    assert.equal(documents.configurations.configurations["hdfs-site"]?.["dfs.replication"], "2");
    assert.equal(documents.metadata.serviceLevelParams.HDFS?.version, "3.3");

    const again = await fleet.applyCluster(wish);
    assert.deepEqual(again.changes, []);
    assert.equal(again.cluster?.version, 1n);
  });

  it("changes what differs, and only that", async () => {
    await fleet.applyCluster(hdfs("changed"));
    const before = await readDocuments(database.db, "changed");
    const { cluster, changes } = await fleet.applyCluster({
      name: "changed",
      stack: "SAMPLE",
      services: [
        { name: "ZOOKEEPER", components: [{ name: "ZOOKEEPER_SERVER", hostNames: ["h2", "h3"] }] },
      ],
      configurations: { "zoo.cfg": { properties: { tickTime: "500", "secret.password": "p" } } },
    });
    assert.deepEqual(changes, [
      "remove HDFS",
      "put ZOOKEEPER_SERVER on h2, h3",
      "take ZOOKEEPER_SERVER off h1",
      "zoo.cfg: version 2 (secret.password, tickTime)",
      "hdfs-site: left out",
      "ssl-server: left out",
    ]);
    assert.equal(cluster?.version, 2n);
    assert.deepEqual(Object.keys(cluster.configurations).sort(), ["cluster-env", "zoo.cfg"]);
    assert.equal(cluster.configurations["zoo.cfg"]?.version, 2);
    assert.equal(cluster.configurations["cluster-env"]?.version, 1);
    const after = await readDocuments(database.db, "changed");
    assert.notDeepEqual(after, before);
    assert.deepEqual(
      after.topology.hosts.map((host) => host.hostName),
      ["h2", "h3"],
    );
    assert.deepEqual(Object.keys(after.metadata.serviceLevelParams), ["ZOOKEEPER"]);

    const back = await fleet.applyCluster(hdfs("changed"));
    assert.ok(back.changes.includes("hdfs-site: version 1 again"), back.changes.join("; "));
    assert.ok(back.changes.includes("zoo.cfg: version 3 (secret.password, tickTime)"));
    assert.deepEqual(await readDocuments(database.db, "changed"), before);
  });

  it("is told with those configurations only that are asked for", async () => {
    await fleet.applyCluster(hdfs("some"));
    const { cluster: all } = await fleet.getCluster({ name: "some" });
    const configurationTypes = ["hdfs-site", "nosuch"];
    const { cluster: some } = await fleet.getCluster({ name: "some", configurationTypes });
    assert.ok(all?.configurations["zoo.cfg"] && all.configurations["hdfs-site"]);
    assert.deepEqual(some, {
      ...all,
      configurations: { "hdfs-site": all.configurations["hdfs-site"] },
    });
    await rejects(
      fleet.getCluster({ name: "some", configurationTypes: Array(101).fill("a") }),
      Code.InvalidArgument,
      "configuration_types: 101 types, at most 100; name none for all",
    );
  });

  it("lists every problem in one line, and changes nothing then", async () => {
    await fleet.applyCluster(hdfs("kept"));
    const before = await fleet.getCluster({ name: "kept" });
    await rejects(
      fleet.applyCluster({
        name: "kept",
        stack: "SAMPLE/1.0",
        services: [
          {
            name: "HDFS",
            components: [{ name: "NAMENODE", hostNames: ["nobody"] }, { name: "PROBE" }],
          },
          { name: "YARN" },
        ],
        configurations: { "ssl-server": { properties: { "other.password": mask } } },
      }),
      Code.InvalidArgument,
      [
        "services[HDFS]: needs ZOOKEEPER in the same cluster; add ZOOKEEPER",
        "services[HDFS].components[NAMENODE].host_names: no agent has registered from nobody; check the names or start the agents",
        "services[HDFS].components[PROBE]: belongs to MONITOR; move it there",
        "services[YARN]: stack SAMPLE/1.0 has no such service; it has HDFS, ZOOKEEPER, MONITOR",
        "services[HDFS].components[SECONDARY_NAMENODE].host_names: SECONDARY_NAMENODE is on 0 hosts, needs 1 host (cardinality 1)",
        "services[HDFS].components[DATANODE].host_names: DATANODE is on 0 hosts, needs at least 1 host (cardinality 1+)",
        "configurations[ssl-server].properties[other.password]: ******** keeps a secret that the cluster has, and it has none; give its value",
      ].join("; "),
    );
    assert.deepEqual(await fleet.getCluster({ name: "kept" }), before);
    await rejects(
      fleet.applyCluster(hdfs("none", { services: [{ name: "YARN" }] })),
      Code.InvalidArgument,
      /YARN/,
    );
    await rejects(
      fleet.getCluster({ name: "none" }),
      Code.NotFound,
      /there is no cluster none; there are .*kept/,
    );
  });

  it("keeps a message short enough to travel", async () => {
    const services = Array.from({ length: 500 }, (_, index) => ({ name: `S${index}` }));
    await rejects(
      fleet.applyCluster({ name: "long", stack: "SAMPLE", services }),
      Code.InvalidArgument,
      /^services\[S0\].{100,4000}; and \d+ more problems$/,
    );
  });

  it("refuses a name, a stack, a type that cannot be", async () => {
    const apply = (wish: Wish) => fleet.applyCluster(wish);
    await rejects(apply(hdfs("a b")), Code.InvalidArgument, /^name: "a b"/);
    await rejects(apply(hdfs("x".repeat(81))), Code.InvalidArgument, /^name: /);
    await rejects(
      apply(hdfs("a", { stack: "A/B/C" })),
      Code.InvalidArgument,
      /^stack: "A\/B\/C" must be NAME\/VERSION/,
    );
    await rejects(
      apply(hdfs("a", { stack: "SAMPLE/9" })),
      Code.InvalidArgument,
      /^stack: there is no SAMPLE\/9; there are SAMPLE\/1.0/,
    );
    await rejects(
      apply(hdfs("a", { configurations: { "a/b": {} } })),
      Code.InvalidArgument,
      /^configurations: the type "a\/b"/,
    );
    await rejects(
      apply(hdfs("a", { configurations: { ab: { properties: { "": "x" } } } })),
      Code.InvalidArgument,
      /^configurations\[ab\].properties/,
    );
  });

  it("shows secrets masked, gives them to scripts as they are, and keeps those given masked", async () => {
    const { cluster } = await fleet.applyCluster(
      hdfs("secrets", {
        configurations: { "ssl-server": { properties: { "keystore.password": "s3cret" } } },
      }),
    );
    const masked = { "keystore.key": mask, "keystore.password": mask, "keystore.type": "jks" };
    assert.deepEqual(cluster?.configurations["ssl-server"]?.properties, masked);
    const { changes } = await fleet.applyCluster(
      hdfs("secrets", {
        configurations: { "ssl-server": { properties: { ...masked, "keystore.type": "p12" } } },
      }),
    );
    assert.deepEqual(changes, ["ssl-server: version 2 (keystore.type)"]);
    const { configurations } = (await readDocuments(database.db, "secrets")).configurations;
    assert.deepEqual(configurations["ssl-server"], {
      "keystore.key": "from-the-stack",
      "keystore.password": "s3cret",
      "keystore.type": "p12",
    });
    const { versions } = await fleet.listConfigurationVersions({
      cluster: "secrets",
      type: "ssl-server",
    });
    assert.deepEqual(
      versions.map((each) => [
        each.version,
        each.selected,
        each.properties["keystore.password"],
        each.properties["keystore.type"],
      ]),
      [
        [2, true, mask, "p12"],
        [1, false, mask, "jks"],
      ],
    );
    assert.ok((versions[0]?.createdAt?.seconds ?? 0n) > 1_600_000_000n);
  });

  it("follows a host's new rack", async () => {
    await fleet.applyCluster(hdfs("racks"));
    await execute(database.db, "update host set labels = ?, facts = ? where host_name = 'h2'", [
      '{"rack":"/r2"}',
      '{"ipaddress":"10.0.0.2"}',
    ]);
    const { changes } = await fleet.applyCluster(hdfs("racks"));
    assert.deepEqual(changes, ["renew the topology that scripts see"]);
    const { hosts } = (await readDocuments(database.db, "racks")).topology;
    assert.deepEqual(
      hosts.map((host) => [host.rackName, host.ipv4]),
      [
        ["/default-rack", "h1"],
        ["/r2", "10.0.0.2"],
        ["/default-rack", "h10"],
      ],
    );
  });

  it("takes turns when several change one cluster at once", async () => {
    const values = Array.from({ length: 6 }, (_, index) => String(index));
    const results = await Promise.all(
      values.map((value) =>
        fleet.applyCluster(hdfs("race", { configurations: { race: { properties: { value } } } })),
      ),
    );
    assert.equal(results.filter(({ changes }) => changes[0]?.startsWith("make cluster")).length, 1);
    const { cluster } = await fleet.getCluster({ name: "race" });
    assert.equal(cluster?.version, 6n);
    assert.equal(cluster.configurations.race?.version, 6);
    const { versions } = await fleet.listConfigurationVersions({ cluster: "race", type: "race" });
    assert.deepEqual(
      versions.map((each) => each.selected),
      [true, false, false, false, false, false],
    );
    assert.deepEqual(versions.map((each) => each.properties.value).sort(), values);
    const documents = await readDocuments(database.db, "race");
    assert.deepEqual(documents.configurations.configurations.race, versions[0]?.properties);
  });

  it("gives up with ABORTED where too many do", async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 30 }, (_, index) =>
        fleet.applyCluster({
          name: "crowd",
          stack: "SAMPLE",
          configurations: { crowd: { properties: { value: String(index) } } },
        }),
      ),
    );
    const refused = results.filter((result) => result.status === "rejected");
    for (const { reason } of refused) {
      await rejects(
        Promise.reject(reason),
        Code.Aborted,
        /^cluster crowd is being changed by others/,
      );
    }
    const { cluster } = await fleet.getCluster({ name: "crowd" });
    assert.equal(cluster?.version, BigInt(30 - refused.length));
  });

  it("puts components on a thousand hosts and more", async () => {
    const many = Array.from({ length: 2_500 }, (_, index) => `many-${index}`);
    const ids = await addHosts(database.db, many);
    const services = [
      { name: "ZOOKEEPER", components: [{ name: "ZOOKEEPER_SERVER", hostNames: many }] },
    ];
    const { changes } = await fleet.applyCluster({ name: "many", stack: "SAMPLE", services });
    assert.equal(
      changes[2],
      "put ZOOKEEPER_SERVER on many-0, many-1, many-2, many-3, many-4 and 2495 more",
    );
    const { topology } = await readDocuments(database.db, "many");
    const servers = topology.components.find((each) => each.componentName === "ZOOKEEPER_SERVER");
    assert.equal(servers?.hostIds.length, 2_500);
    assert.equal(ids.size, 2_500);
  });
});

describe("GetCluster, ListClusters and ListConfigurationVersions", () => {
  it("get the only cluster, or ask which", async () => {
    const own = await openTestDatabase();
    try {
      const { fleet: client, stacks: pushing } = openFleet(own.db);
      await rejects(client.getCluster({}), Code.NotFound, /^there is no cluster yet/);
      await rejects(
        client.getCluster({ name: "x" }),
        Code.NotFound,
        "there is no cluster x; there is none yet",
      );
      await rejects(
        client.applyCluster({ name: "a", stack: "SAMPLE" }),
        Code.InvalidArgument,
        /and no other; push one first$/,
      );
      await pushing.pushStack({ stack: sampleStack() });
      await client.applyCluster({ name: "a", stack: "SAMPLE" });
      assert.equal((await client.getCluster({})).cluster?.name, "a");
      await client.applyCluster({ name: "b", stack: "SAMPLE" });
      await rejects(
        client.getCluster({}),
        Code.InvalidArgument,
        /several clusters: a, b; name one/,
      );
      const { clusters } = await client.listClusters({});
      assert.deepEqual(
        clusters.map((each) => [each.name, each.stack, each.configurations]),
        [
          ["a", "SAMPLE/1.0", {}],
          ["b", "SAMPLE/1.0", {}],
        ],
      );
      const versions = client.listConfigurationVersions;
      await rejects(
        versions({ cluster: "c", type: "x" }),
        Code.NotFound,
        /no cluster c; there are a, b/,
      );
      await rejects(
        versions({ cluster: "a", type: "x" }),
        Code.NotFound,
        /no configuration type x; it has cluster-env/,
      );
      await rejects(versions({ cluster: "a" }), Code.InvalidArgument, /^type: is empty/);
      await rejects(versions({ type: "a" }), Code.InvalidArgument, /^cluster: is empty/);
    } finally {
      await own.close();
    }
  });
});
