import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Code, createClient } from "@connectrpc/connect";
import { AlertService } from "@howdah/proto/howdah/v1/alert_service";
import { HostState } from "@howdah/proto/howdah/v1/fleet";
import {
  type ApplyClusterRequestSchema,
  FleetService,
} from "@howdah/proto/howdah/v1/fleet_service";
import { StackService } from "@howdah/proto/howdah/v1/stack_service";
import { createAlertService } from "./alert-service.js";
import { mask } from "./cluster-configuration.js";
import { createFleetService } from "./fleet-service.js";
import { execute, query } from "./query.js";
import { createStackService } from "./stack-service.js";
import { openTestDatabase, type TestDatabase } from "./testing/database.js";
import { inMemory } from "./testing/in-memory.js";
import { rejects } from "./testing/rejects.js";
import { addHosts, sampleStack } from "./testing/sample-fleet.js";

type Wish = MessageInitShape<typeof ApplyClusterRequestSchema>;

let database: TestDatabase;
let fleet: Client<typeof FleetService>;
let stacks: Client<typeof StackService>;
let hostIds: Map<string, number>;

before(async () => {
  database = await openTestDatabase();
  const transport = inMemory(({ service }) => {
    service(FleetService, createFleetService(database.db));
    service(StackService, createStackService(database.db));
  });
  fleet = createClient(FleetService, transport);
  stacks = createClient(StackService, transport);
  hostIds = await addHosts(database.db, ["h1", "h2", "h3", "h10"], { role: "worker" });
  await stacks.pushStack({ stack: sampleStack() });
});
after(() => database.close());

function hdfs(name: string, over: Wish = {}): Wish {
  return {
    name,
    stack: "SAMPLE/1.0",
    services: [
      { name: "ZOOKEEPER", components: [{ name: "ZOOKEEPER_SERVER", hostNames: ["h1"] }] },
      {
        name: "HDFS",
        components: [
          { name: "NAMENODE", hostNames: ["h1"] },
          { name: "SECONDARY_NAMENODE", hostNames: ["h2"] },
          { name: "DATANODE", hostNames: ["h1", "H2", "h10"] },
        ],
      },
    ],
    ...over,
  };
}

interface Documents {
  configurations: { configurations: Record<string, Record<string, string>> };
  topology: { clusterId: number; clusterHostInfo: Record<string, string[]> };
  metadata: { serviceLevelParams: Record<string, Record<string, unknown>> };
}

/** The documents that a cluster's row names, as agents would fetch them. */
async function readDocuments(name: string): Promise<Documents> {
  const [row] = await query<Record<string, string>>(
    database.db,
    "select * from cluster where name = ?",
    [name],
  );
  const read = async (digest: string | undefined): Promise<unknown> => {
    const parts: Uint8Array[] = [];
    for await (const { data } of stacks.readPackage({ digest: digest ?? "" })) parts.push(data);
    return JSON.parse(Buffer.concat(parts).toString());
  };
  return {
    configurations: await read(row?.configurations_digest),
    topology: await read(row?.topology_digest),
    metadata: await read(row?.metadata_digest),
  } as Documents;
}

describe("ListHosts and GetHost", () => {
  let db: TestDatabase;
  let client: Client<typeof FleetService>;
  before(async () => {
    db = await openTestDatabase();
    client = createClient(
      FleetService,
      inMemory(({ service }) => service(FleetService, createFleetService(db.db))),
    );
    const web = await addHosts(
      db.db,
      ["web-01", "web-02", "web-03"],
      { role: "web" },
      { osfamily: "debian" },
    );
    await addHosts(db.db, ["db-1"], { role: "db", rack: "7" });
    const session = (host: string, open: number | null) => [
      web.get(host) ?? 0,
      5,
      "dispatcher-1",
      3,
      "10.0.0.1:4000",
      1,
      open === null ? 1_700_000_100_000 : 0,
      open,
    ];
    await execute(
      db.db,
      `insert into session (host_id, session_epoch, dispatcher, dispatcher_token, peer_address, opened_at, closed_at, open)
      values ?`,
      [[session("web-01", 1), session("web-02", null)]],
    );
  });
  after(() => db.close());
  const names = async (selector?: { names?: string[]; labels?: Record<string, string> }) =>
    (await client.listHosts(selector ? { selector } : {})).hosts.map((host) => host.hostName);

  it("lists all by name, or those selected by patterns and labels", async () => {
    assert.deepEqual(await names(), ["db-1", "web-01", "web-02", "web-03"]);
    assert.deepEqual(await names({ names: ["WEB-[02-09]"] }), ["web-02", "web-03"]);
    assert.deepEqual(await names({ names: ["web-03,db-1", "gone"] }), ["db-1", "web-03"]);
    assert.deepEqual(await names({ labels: { role: "db" } }), ["db-1"]);
    assert.deepEqual(await names({ names: ["*"], labels: { rack: "" } }), ["db-1"]);
    assert.deepEqual(await names({ names: ["db-1"], labels: { role: "web" } }), []);
  });

  it("pages through, also with a selector", async () => {
    for (const selector of [
      { names: [] },
      { names: ["web-*"] },
      { names: ["web-01,web-02,web-03"] },
    ]) {
      const pages: string[][] = [];
      let pageToken = "";
      do {
        const page = await client.listHosts({ selector, pageSize: 2, pageToken });
        pages.push(page.hosts.map((host) => host.hostName));
        pageToken = page.nextPageToken;
      } while (pageToken !== "");
      const all = await names(selector);
      assert.deepEqual(pages, [all.slice(0, 2), all.slice(2)]);
    }
  });

  it("ends a page before it is too large for a message", async () => {
    const big = await addHosts(
      db.db,
      ["z1", "z2", "z3"],
      { big: "1" },
      { filler: "x".repeat(1 << 20) },
    );
    const first = await client.listHosts({ selector: { labels: { big: "" } } });
    assert.deepEqual(
      first.hosts.map((host) => host.hostName),
      ["z1"],
    );
    const second = await client.listHosts({
      selector: { labels: { big: "" } },
      pageToken: first.nextPageToken,
    });
    assert.deepEqual(
      second.hosts.map((host) => host.hostName),
      ["z2"],
    );
    const brief = await client.listHosts({ selector: { names: ["z*"] }, brief: true });
    assert.equal(brief.hosts.length, 3);
    assert.equal(brief.nextPageToken, "");
    assert.deepEqual([brief.hosts[0]?.factsJson, brief.hosts[0]?.labels], ["", {}]);
    await execute(db.db, "delete from host where host_id in (?)", [[...big.values()]]);
  });

  it("says who is connected", async () => {
    const { host: connected } = await client.getHost({ hostName: "WEB-01" });
    assert.equal(connected?.state, HostState.HEALTHY);
    assert.equal(connected.dispatcher, "dispatcher-1");
    assert.equal(connected.peerAddress, "10.0.0.1:4000");
    assert.equal(connected.sessionEpoch, 5n);
    assert.equal(connected.disconnectedAt, undefined);
    assert.deepEqual(connected.labels, { role: "web" });
    assert.equal(connected.factsJson, '{"osfamily":"debian"}');
    const { host: lost } = await client.getHost({ hostName: "web-02" });
    assert.equal(lost?.state, HostState.HEARTBEAT_LOST);
    assert.equal(lost.dispatcher, "");
    assert.equal(lost.disconnectedAt?.seconds, 1_700_000_100n);
    const { host: never } = await client.getHost({ hostName: "web-03" });
    assert.equal(never?.state, HostState.HEARTBEAT_LOST);
    assert.equal(never.disconnectedAt, undefined);
  });

  it("refuses what it cannot read", async () => {
    await rejects(
      client.getHost({ hostName: "nobody" }),
      Code.NotFound,
      "there is no host nobody: no agent has registered from it",
    );
    await rejects(client.getHost({}), Code.InvalidArgument, /^host_name: is empty/);
    const list = client.listHosts;
    await rejects(
      list({ selector: { names: ["web-["] } }),
      Code.InvalidArgument,
      /^selector.names: host pattern web-\[/,
    );
    await rejects(list({ selector: { names: [""] } }), Code.InvalidArgument, /has an empty name/);
    await rejects(list({ pageSize: -1 }), Code.InvalidArgument, /^page_size: -1/);
    await rejects(list({ pageSize: 10_001 }), Code.InvalidArgument, /^page_size: 10001/);
    await rejects(list({ pageToken: "!" }), Code.InvalidArgument, /^page_token: !/);
  });
});

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

    const documents = await readDocuments("made");
    assert.equal(documents.topology.clusterId, Number(cluster.clusterId));
    assert.deepEqual(documents.topology.clusterHostInfo.all_hosts, ["h1", "h2", "h10"]);
    assert.deepEqual(documents.topology.clusterHostInfo.namenode_hosts, ["h1"]);
    assert.equal(documents.configurations.configurations["hdfs-site"]?.["dfs.replication"], "2");
    assert.equal(documents.metadata.serviceLevelParams.HDFS?.version, "3.3");

    const again = await fleet.applyCluster(wish);
    assert.deepEqual(again.changes, []);
    assert.equal(again.cluster?.version, 1n);
  });

  it("changes what differs, and only that", async () => {
    await fleet.applyCluster(hdfs("changed"));
    const before = await readDocuments("changed");
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
    const after = await readDocuments("changed");
    assert.notDeepEqual(after, before);
    assert.deepEqual(after.topology.clusterHostInfo.all_hosts, ["h2", "h3"]);
    assert.deepEqual(Object.keys(after.metadata.serviceLevelParams), ["ZOOKEEPER"]);

    const back = await fleet.applyCluster(hdfs("changed"));
    assert.ok(back.changes.includes("hdfs-site: version 1 again"), back.changes.join("; "));
    assert.ok(back.changes.includes("zoo.cfg: version 3 (secret.password, tickTime)"));
    assert.deepEqual(await readDocuments("changed"), before);
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
    const { configurations } = (await readDocuments("secrets")).configurations;
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
    const { clusterHostInfo } = (await readDocuments("racks")).topology;
    assert.deepEqual(clusterHostInfo.all_racks, ["/default-rack", "/r2", "/default-rack"]);
    assert.deepEqual(clusterHostInfo.all_ipv4_ips, ["h1", "10.0.0.2", "h10"]);
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
    const documents = await readDocuments("race");
    assert.deepEqual(documents.configurations.configurations.race, versions[0]?.properties);
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
    const { topology } = await readDocuments("many");
    assert.equal(topology.clusterHostInfo.zookeeper_server_hosts?.length, 2_500);
    assert.equal(ids.size, 2_500);
  });
});

describe("GetCluster, ListClusters and ListConfigurationVersions", () => {
  it("get the only cluster, or ask which", async () => {
    const own = await openTestDatabase();
    try {
      const transport = inMemory(({ service }) => {
        service(FleetService, createFleetService(own.db));
        service(StackService, createStackService(own.db));
        service(AlertService, createAlertService());
      });
      const client = createClient(FleetService, transport);
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
      await createClient(StackService, transport).pushStack({ stack: sampleStack() });
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
      const alerts = createClient(AlertService, transport);
      await rejects(alerts.listAlerts({}), Code.Unimplemented, "alerts are not built yet");
      await rejects(alerts.listAlertDefinitions({}), Code.Unimplemented, /not built/);
    } finally {
      await own.close();
    }
  });
});

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
    const { serviceLevelParams } = (await readDocuments("follows")).metadata;
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
      const { serviceLevelParams } = (await readDocuments(name)).metadata;
      assert.equal(serviceLevelParams.HDFS?.version, "new", name);
    }
    assert.equal(hostIds.size, 4);
  });
});
