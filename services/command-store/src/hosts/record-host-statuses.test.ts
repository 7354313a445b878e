import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Code, createClient } from "@connectrpc/connect";
import { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import { HostStatusSchema } from "@howdah/proto/howdah/v1/store_hosts";
import { execute, query } from "../database/query.js";
import { createFleetService } from "../fleet/fleet-service.js";
import { openTestDatabase, type TestDatabase } from "../testing/database.js";
import { inMemory } from "../testing/in-memory.js";
import { rejects } from "../testing/rejects.js";
import { openSession, startStore, type TestStore } from "../testing/store.js";

describe("recordHostStatuses()", () => {
  let database: TestDatabase;
  let store: TestStore;
  let fleet: Client<typeof FleetService>;
  const sessions = new Map<string, { hostId: bigint; sessionEpoch: bigint }>();
  before(async () => {
    database = await openTestDatabase();
    store = await startStore(database.url);
    fleet = createClient(
      FleetService,
      inMemory(({ service }) => service(FleetService, createFleetService(store.db))),
    );
    for (const name of ["h1", "h2", "h3"]) await open(name);
  });
  after(async () => {
    await store?.stop();
    await database?.close();
  });

  async function open(name: string): Promise<void> {
    const takeoverEpoch = sessions.get(name)?.sessionEpoch ?? 0n;
    const { hostId, sessionEpoch } = await openSession(store, name, { takeoverEpoch });
    sessions.set(name, { hostId, sessionEpoch });
  }

  const say = (name: string, statusJson: string, problems: string[] = [], epoch?: bigint) => {
    const session = sessions.get(name) ?? { hostId: 0n, sessionEpoch: 0n };
    const key = { ...session, ...(epoch !== undefined && { sessionEpoch: epoch }) };
    return store.client.recordHostStatuses({
      statuses: [create(HostStatusSchema, { session: key, statusJson, problems })],
    });
  };
  const statusOf = async (hostName: string) => (await fleet.getHost({ hostName })).host;

  it("should be told with the host, its problems in lists too", async () => {
    await say("h1", '{"mounts":[]}', ["/ is 96 % full, 1.0 GB left", "its clock is wrong"]);
    await say("h2", '{"mounts":[]}');
    const host = await statusOf("h1");
    assert.equal(host?.statusJson, '{"mounts":[]}');
    assert.equal(host?.problems.length, 2);
    const problems = async (request: Parameters<typeof fleet.listHosts>[0]) =>
      (await fleet.listHosts(request)).hosts.map((one) => [
        one.hostName,
        one.problems,
        one.statusJson,
      ]);
    assert.deepEqual(await problems({}), [
      ["h1", ["/ is 96 % full, 1.0 GB left", "its clock is wrong"], ""],
      ["h2", [], ""],
      ["h3", [], ""],
    ]);
    assert.deepEqual(await problems({ withProblems: true, brief: true }), [
      ["h1", ["/ is 96 % full, 1.0 GB left"], ""],
    ]);
    await say("h1", '{"mounts":[]}');
    assert.deepEqual(await problems({ withProblems: true }), []);
  });

  it("should change nothing for a session that is not the host's any more, or is over", async () => {
    const former = sessions.get("h2")?.sessionEpoch ?? 0n;
    await say("h2", '{"n":1}');
    await open("h2");
    await say("h2", '{"n":2}', [], former);
    assert.equal((await statusOf("h2"))?.statusJson, '{"n":1}');
    await say("h2", '{"n":3}');
    assert.equal((await statusOf("h2"))?.statusJson, '{"n":3}');
    const session = sessions.get("h2");
    assert.ok(session);
    await store.client.closeSessions({ sessions: [session] });
    await say("h2", '{"n":4}');
    assert.equal((await statusOf("h2"))?.statusJson, '{"n":3}');
  });

  it("should write nothing that is stored already, also when a new session tells it", async () => {
    await say("h3", '{"n":1}', ["p"]);
    await execute(store.db, "update host_status set changed_at = 7");
    await open("h3");
    const statements: string[] = [];
    const listen = ({ sql }: { sql: string }) => statements.push(sql.slice(0, 6));
    store.db.on("query", listen);
    await say("h3", '{"n":1}', ["p"]);
    store.db.removeListener("query", listen);
    assert.deepEqual(statements, ["select"]);
    const [row] = await query<{ changed_at: number }>(
      store.db,
      "select changed_at from host_status where host_id = ?",
      [Number(sessions.get("h3")?.hostId)],
    );
    assert.equal(row?.changed_at, 7);
    await say("h3", '{"n":1}', ["q"]);
    assert.deepEqual((await statusOf("h3"))?.problems, ["q"]);
  });

  it("should take many at once, the last word of each, and pass over hosts that are not there", async () => {
    const statuses = [..."abcdefgh"].flatMap((letter) =>
      [...sessions.values()].map((session) => ({ session, statusJson: `{"${letter}":1}` })),
    );
    const gone = { session: { hostId: 999_999n, sessionEpoch: 1n }, statusJson: "{}" };
    await open("h2");
    const session = sessions.get("h2");
    await store.client.recordHostStatuses({
      statuses: [...statuses, gone, { session, statusJson: '{"z":1}' }].map((one) =>
        create(HostStatusSchema, one),
      ),
    });
    assert.equal((await statusOf("h1"))?.statusJson, '{"h":1}');
    assert.equal((await statusOf("h2"))?.statusJson, '{"z":1}');
    const [count] = await query<{ n: number }>(store.db, "select count(*) as n from host_status");
    assert.equal(count?.n, 3);
  });

  it("should refuse what is too much, by name", async () => {
    const { hostId = 0n, sessionEpoch = 0n } = sessions.get("h1") ?? {};
    const session = { hostId, sessionEpoch };
    const one = { session, statusJson: "{}" };
    const tooMuch: [MessageInitShape<typeof HostStatusSchema>[], RegExp][] = [
      [Array.from({ length: 1_001 }, () => one), /^statuses 1001 are too many/],
      [
        [{ ...one, statusJson: "x".repeat(33_000) }],
        /^statuses.status_json "host \d+" has 33000 bytes/,
      ],
      [[{ ...one, problems: ["x".repeat(1_001)] }], /^statuses.problems "host \d+" are more/],
    ];
    for (const [statuses, message] of tooMuch) {
      await rejects(
        store.client.recordHostStatuses({
          statuses: statuses.map((status) => create(HostStatusSchema, status)),
        }),
        Code.InvalidArgument,
        message,
      );
    }
  });
});
