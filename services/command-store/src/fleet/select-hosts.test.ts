import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Client, Code, createClient } from "@connectrpc/connect";
import { HostState } from "@howdah/proto/howdah/v1/fleet";
import { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import { execute } from "../database/query.js";
import { openTestDatabase, type TestDatabase } from "../testing/database.js";
import { inMemory } from "../testing/in-memory.js";
import { rejects } from "../testing/rejects.js";
import { addHosts } from "../testing/sample-fleet.js";
import { createFleetService } from "./fleet-service.js";

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

  for (const pattern of ["z1,z2,z3", "z*"]) {
    it(`reads one problem of each host for a brief page, and ends it in time, by ${pattern}`, async () => {
      const hosts = await addHosts(db.db, ["z1", "z2", "z3"]);
      const ids = [...hosts.values()];
      const long = "p".repeat(3 << 19);
      const tell = (problems: string[]) =>
        execute(
          db.db,
          "replace into host_status (host_id, session_epoch, digest, status, problems, changed_at) values ?",
          [ids.map((id) => [id, 1, "", "{}", JSON.stringify(problems), 1])],
        );
      const listed = async () => {
        const page = await client.listHosts({ selector: { names: [pattern] }, brief: true });
        return page.hosts.map(({ hostName, problems }) => [hostName, problems.join()]);
      };
      await tell([long, "second"]);
      assert.deepEqual(await listed(), [["z1", "p".repeat(100)]]);
      await tell(["first", long]);
      assert.deepEqual(
        await listed(),
        ["z1", "z2", "z3"].map((name) => [name, "first"]),
      );
      for (const table of ["host_status", "host"]) {
        await execute(db.db, `delete from ${table} where host_id in (?)`, [ids]);
      }
    });
  }

  it("says who is connected", async () => {
    const { host: connected } = await client.getHost({ hostName: "WEB-01" });
    assert.equal(connected?.state, HostState.HEALTHY);
    assert.equal(connected.dispatcher, "dispatcher-1");
    assert.equal(connected.peerAddress, "10.0.0.1:4000");
    assert.equal(connected.sessionEpoch, 5n);
    assert.equal(connected.disconnectedAt, undefined);
    assert.deepEqual(connected.labels, { role: "web" });
    assert.equal(connected.factsJson, '{"osfamily":"debian"}');
    assert.equal(connected.connected, true);
    const { host: away } = await client.getHost({ hostName: "web-02" });
    assert.deepEqual([away?.state, away?.connected], [HostState.HEALTHY, false]);
    assert.equal(away?.dispatcher, "");
    assert.equal(away.disconnectedAt?.seconds, 1_700_000_100n);
    const { host: never } = await client.getHost({ hostName: "web-03" });
    assert.deepEqual([never?.connected, never?.disconnectedAt], [false, undefined]);
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
