import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { ComponentState, type HostComponent } from "@howdah/proto/howdah/v1/fleet";
import type { ListHostComponentsRequestSchema } from "@howdah/proto/howdah/v1/fleet_service";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { execute, query } from "../database/query.js";
import { listUnnamed } from "../store/purge-packages.js";
import { type ComponentFixture, openComponentFixture } from "../testing/component-fixture.js";
import { rejects } from "../testing/rejects.js";

type Asked = MessageInitShape<typeof ListHostComponentsRequestSchema>;

const nameOf = ({ componentName, hostName }: HostComponent) => `${componentName} on ${hostName}`;

describe("listHostComponents()", () => {
  let fixture: ComponentFixture;
  before(async () => {
    fixture = await openComponentFixture();
  });
  after(() => fixture?.close());

  const list = async (asked: Asked = {}) =>
    (await fixture.fleet.listHostComponents(asked)).hostComponents;
  const names = async (asked: Asked = {}) => (await list(asked)).map(nameOf);

  it("should list by service, component and host name", async () => {
    assert.deepEqual(await names(), [
      "DATANODE on h1",
      "DATANODE on h2",
      "HDFS_CLIENT on h1",
      "NAMENODE on h1",
      "SECONDARY_NAMENODE on h2",
      "ZOOKEEPER_SERVER on h1",
    ]);
    const [first] = await list();
    assert.equal(first?.cluster, "prod");
    assert.equal(first?.serviceName, "HDFS");
    assert.equal(first?.desiredState, ComponentState.INIT);
    assert.equal(first?.currentState, ComponentState.INIT);
    assert.equal(first?.restartRequired, false);
    assert.ok(first?.changedAt);
    assert.deepEqual(
      (await list({ components: ["HDFS_CLIENT", "DATANODE"] })).map(({ client }) => client),
      [false, false, true],
    );
  });

  it("should leave clients out when only servers are asked for", async () => {
    const all = await names();
    const servers = all.filter((name) => name !== "HDFS_CLIENT on h1");
    assert.equal(servers.length, all.length - 1);
    assert.deepEqual(await names({ serversOnly: true }), servers);
    assert.deepEqual(await names({ serversOnly: true, components: ["HDFS_CLIENT"] }), []);
    const first = await fixture.fleet.listHostComponents({ serversOnly: true, pageSize: 2 });
    const pageToken = first.nextPageToken;
    assert.deepEqual(await names({ serversOnly: true, pageToken }), servers.slice(2));
  });

  it("should narrow to services, components and hosts, by name, pattern and label", async () => {
    assert.deepEqual(await names({ services: ["ZOOKEEPER"] }), ["ZOOKEEPER_SERVER on h1"]);
    assert.deepEqual(await names({ services: ["HDFS"], components: ["NAMENODE", "NONE"] }), [
      "NAMENODE on h1",
    ]);
    const onH2 = ["DATANODE on h2", "SECONDARY_NAMENODE on h2"];
    assert.deepEqual(await names({ hosts: { names: ["H2"] } }), onH2);
    assert.deepEqual(await names({ hosts: { names: ["h[2-9]"] } }), onH2);
    await execute(fixture.database.db, "update host set labels = ? where host_name = 'h2'", [
      '{"rack":"r2"}',
    ]);
    assert.deepEqual(await names({ hosts: { labels: { rack: "r2" } } }), onH2);
    assert.deepEqual(await names({ hosts: { labels: { rack: "r3" } } }), []);
    assert.deepEqual(await names({ hosts: { names: ["h1"] }, components: ["DATANODE"] }), [
      "DATANODE on h1",
    ]);
  });

  it("should give every component once, whatever the size of the page", async () => {
    const all = await names();
    for (const asked of [{}, { hosts: { names: ["h1", "h2"] } }, { hosts: { names: ["h*"] } }]) {
      for (const pageSize of [1, 2, 4, all.length]) {
        const seen: string[] = [];
        let pageToken = "";
        do {
          const page = await fixture.fleet.listHostComponents({ ...asked, pageSize, pageToken });
          assert.ok(page.hostComponents.length <= pageSize);
          seen.push(...page.hostComponents.map(nameOf));
          pageToken = page.nextPageToken;
        } while (pageToken !== "");
        assert.deepEqual(seen, all, `pages of ${pageSize}`);
      }
    }
  });

  it("should require a restart once configurations of its service have changed, and name them", async () => {
    const { request, apply } = fixture;
    const run = async (component: string, host: string, roleCommand: RoleCommand) => {
      const custom = roleCommand === RoleCommand.CUSTOM_COMMAND ? { customCommand: "RESTART" } : {};
      const task = await request(component, host, roleCommand, custom);
      await task.transit(TaskEvent.RELEASED);
      await task.report(TaskEvent.SUCCEEDED);
    };
    const required = async () =>
      (await list({ restartRequiredOnly: true })).map(
        (each) => `${nameOf(each)}: ${each.changedTypes}`,
      );
    await run("DATANODE", "h1", RoleCommand.START);
    await run("ZOOKEEPER_SERVER", "h1", RoleCommand.START);
    await run("HDFS_CLIENT", "h1", RoleCommand.INSTALL);
    assert.deepEqual(await required(), []);
    const hdfsSite = { properties: { "dfs.replication": "7" } };
    await apply({ configurations: { "hdfs-site": hdfsSite } });
    assert.deepEqual(await required(), [
      "DATANODE on h1: hdfs-site",
      "HDFS_CLIENT on h1: hdfs-site",
    ]);
    assert.equal((await list({ services: ["ZOOKEEPER"] }))[0]?.restartRequired, false);
    assert.equal(
      (await list({ components: ["NAMENODE"] }))[0]?.restartRequired,
      false,
      "not begun",
    );
    const ssl = { properties: { "keystore.type": "pkcs12" } };
    await apply({ configurations: { "hdfs-site": hdfsSite, "ssl-server": ssl } });
    assert.equal((await required())[0], "DATANODE on h1: hdfs-site,ssl-server");
    await run("DATANODE", "h1", RoleCommand.CUSTOM_COMMAND);
    assert.deepEqual(await required(), ["HDFS_CLIENT on h1: hdfs-site,ssl-server"]);
    await run("HDFS_CLIENT", "h1", RoleCommand.CUSTOM_COMMAND);
    assert.deepEqual(await required(), []);
    await apply({ configurations: { "hdfs-site": { properties: { "dfs.replication": "8" } } } });
    assert.equal((await required()).length, 2);
    await apply({ configurations: { "hdfs-site": hdfsSite, "ssl-server": ssl } });
    assert.deepEqual(await required(), [], "changed back");
  });

  it("should count what the stack says that a service depends on", async () => {
    const { apply, pushStack } = fixture;
    const env = { "cluster-env": { properties: { minimum_free_mb: "1" } } };
    await apply({ configurations: env });
    const [before] = await list({ services: ["ZOOKEEPER"] });
    assert.deepEqual(before?.changedTypes, []);
    await pushStack({ clients: [], dependencies: { ZOOKEEPER: ["cluster-env", "none"] } });
    const [after] = await list({ services: ["ZOOKEEPER"] });
    assert.deepEqual(after?.changedTypes, ["cluster-env"]);
    await pushStack({ clients: [] });
  });

  it("should keep the documents that it compares with, whatever is purged", async () => {
    const { db } = fixture.database;
    const [row] = await query<{ digest: string }>(
      db,
      `select b.configurations_digest as digest from host_component c join command_binding b on b.binding_id = c.binding_id
      join cluster k on k.cluster_id = c.cluster_id and k.configurations_digest <> b.configurations_digest limit 1`,
    );
    assert.ok(row);
    const unnamed = await listUnnamed(db, Date.now() + 60_000, () => true);
    assert.ok(unnamed.length > 0, "others may go");
    assert.equal(
      unnamed.some(({ digest }) => digest === row.digest),
      false,
    );
  });

  it("should read documents once for each that components were started with, not for each component", async () => {
    const sent: string[] = [];
    const listen = ({ sql }: { sql: string }) => sent.push(sql);
    await list();
    fixture.database.db.on("query", listen);
    await list();
    fixture.database.db.removeListener("query", listen);
    assert.ok(sent.length <= 4, sent.join("\n"));
  });

  it("should refuse what makes no sense, by field", async () => {
    const { fleet } = fixture;
    const { InvalidArgument, NotFound } = Code;
    await rejects(fleet.listHostComponents({ pageSize: -1 }), InvalidArgument, /^page_size -1 is/);
    await rejects(
      fleet.listHostComponents({ pageToken: "%" }),
      InvalidArgument,
      /^page_token "%" is none of ours/,
    );
    await rejects(
      fleet.listHostComponents({ hosts: { names: ["a["] } }),
      InvalidArgument,
      /^hosts.names: host pattern/,
    );
    await rejects(
      fleet.listHostComponents({ cluster: "test" }),
      NotFound,
      "there is no cluster test; there are prod",
    );
  });
});
