import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Status } from "@howdah/proto/howdah/v1/status";
import {
  type OpenSessionRequest,
  OpenSessionRequestSchema,
} from "@howdah/proto/howdah/v1/store_sessions";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { query } from "../database/query.js";
import { readStoreId } from "../store/read-store-id.js";
import { type Fixture, openFixture } from "../testing/fixture.js";
import { createCommandParts } from "./commands.js";
import { openSessions } from "./open-sessions.js";

describe("openSessions()", () => {
  let fixture: Fixture;
  let storeId: string;
  before(async () => {
    fixture = await openFixture();
    storeId = await readStoreId(fixture.database.db);
  });
  after(() => fixture?.close());

  function register(
    hostName: string,
    rest: MessageInitShape<typeof OpenSessionRequestSchema> = {},
  ): OpenSessionRequest {
    return create(OpenSessionRequestSchema, {
      ...{ hostName, agentId: `agent of ${hostName}`, journalId: `journal of ${hostName}` },
      ...{ dispatcher: "dispatcher/many", dispatcherToken: 1n, peerAddress: "10.0.0.1:1" },
      factsJson: JSON.stringify({ of: hostName }),
      labels: { name: hostName },
      ...rest,
    });
  }

  /** Opens them; the statements that it took. */
  async function open(requests: OpenSessionRequest[]) {
    const { db } = fixture.database;
    const statements: string[] = [];
    const count = ({ sql }: { sql: string }) => statements.push(sql);
    db.on("query", count);
    const opened = await openSessions(db, createCommandParts(), storeId, requests, 1_000);
    db.removeListener("query", count);
    const answerTo = (hostName: string) =>
      [...opened.answers].find(([request]) => request.hostName === hostName)?.[1];
    const of = (hostName: string) => {
      const answer = answerTo(hostName);
      return answer instanceof Error ? undefined : answer;
    };
    const { requestIds, answers } = opened;
    return { of, answerTo, requestIds, count: statements.length, size: answers.size };
  }

  it("makes hosts, and opens their next sessions, with as many statements for many as for few", async () => {
    const names = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, n) => `many-${from + n}`);
    const few = await open(names(0, 3).map((name) => register(name)));
    const many = await open(names(3, 60).map((name) => register(name)));
    assert.deepEqual([few.size, many.size], [3, 57]);
    assert.equal(many.count, few.count);
    // A new start of their dispatcher; half of them are new.
    const later = names(30, 90).map((name) =>
      register(name, { dispatcherToken: 2n, peerAddress: "10.0.0.2:2", bootId: "next" }),
    );
    const again = await open(later);
    assert.deepEqual(
      [again.of("many-30")?.sessionEpoch, again.of("many-60")?.sessionEpoch],
      [2n, 1n],
    );
    assert.equal(again.of("many-30")?.hostId, many.of("many-30")?.hostId);
    assert.ok(again.count <= few.count + 3, `${again.count} statements, ${few.count} before`);
    const [row] = await query<Record<string, unknown>>(
      fixture.database.db,
      `select h.boot_id, h.labels, h.facts, h.state, s.session_epoch, s.dispatcher_token, s.peer_address, s.open
      from host h join session s on s.host_id = h.host_id where h.host_name = 'many-30'`,
    );
    assert.deepEqual(row, {
      ...{ boot_id: "next", labels: '{"name":"many-30"}', facts: '{"of":"many-30"}' },
      ...{ state: "HEALTHY", session_epoch: 2, dispatcher_token: 2, peer_address: "10.0.0.2:2" },
      open: 1,
    });
  });

  it("says to each what stands in its way, and gives up what lost journals held", async () => {
    const first = await open([register("taken"), register("wiped"), register("free")]);
    const [wiped, other] = [first.of("wiped")?.hostId ?? 0n, first.of("free")?.hostId ?? 0n];
    const subject = await fixture.subject([[{ role: "A", hosts: [wiped, wiped, other] }]]);
    const [lost = 0n, listed = 0n, kept = 0n] = subject.taskIds;
    const released = { sessionEpoch: 1n };
    await subject.transit(TaskEvent.RELEASED, [lost, listed], { ...released, hostId: wiped });
    await subject.transit(TaskEvent.RELEASED, [kept], { ...released, hostId: other });
    const { client } = fixture.store;
    const { lease } = await client.acquireLease({
      ...{ name: "dispatcher/many", holder: "many/1", address: "a:1", durationMs: 6_000n },
    });
    assert.equal(lease?.token, 1n);
    const next = { dispatcher: "dispatcher/other", dispatcherToken: 1n };
    const { of, answerTo, requestIds } = await open([
      register("taken", next),
      register("wiped", {
        ...{ dispatcherToken: 2n, journalId: "another" },
        listed: [{ taskId: listed, attempt: 1 }],
      }),
      register("stale", { dispatcherToken: 0n }),
      register("free", { dispatcherToken: 2n }),
    ]);
    assert.equal(of("free")?.sessionEpoch, 2n);
    assert.equal(of("taken")?.conflict?.sessionEpoch, 1n);
    assert.equal(of("taken")?.conflict?.dispatcher, "dispatcher/many");
    assert.match(String(answerTo("stale")), /dispatcher_token 0 of dispatcher\/many is stale/);
    const statuses = [of("wiped"), of("free")].map((response) =>
      response?.tasks.map(({ taskId, status }) => [taskId, status]),
    );
    assert.deepEqual(statuses, [
      [
        [lost, Status.UNKNOWN],
        [listed, Status.QUEUED],
      ],
      [[kept, Status.QUEUED]],
    ]);
    assert.deepEqual(requestIds, [Number(subject.requestId)]);
    assert.deepEqual(
      await query(fixture.database.db, "select 1 from host where host_name = 'stale'"),
      [],
    );
  });

  it("moves each host's tasks to its session, and sends again what its journal does not list", async () => {
    const first = await open([register("x"), register("y")]);
    const [x, y] = [first.of("x"), first.of("y")];
    assert.ok(x && y);
    const subject = await fixture.subject([
      [{ role: "A", hosts: [x.hostId, x.hostId, y.hostId, x.hostId] }],
    ]);
    const [a = 0n, b = 0n, c = 0n, notOpen = 0n] = subject.taskIds;
    await subject.transit(TaskEvent.RELEASED, [a, b], { hostId: x.hostId, sessionEpoch: 1n });
    await subject.transit(TaskEvent.RELEASED, [c], { hostId: y.hostId, sessionEpoch: 1n });
    const listed = [{ taskId: a, attempt: 1 }];
    const { of } = await open([
      register("x", { dispatcherToken: 3n, listed }),
      // It says something about tasks of another host, which changes nothing.
      register("y", {
        dispatcherToken: 3n,
        listed: [...listed, { taskId: notOpen, attempt: 1 }],
      }),
    ]);
    const tasksOf = (hostName: string) =>
      of(hostName)?.tasks.map(({ taskId, status, sessionEpoch }) => [taskId, status, sessionEpoch]);
    assert.deepEqual(tasksOf("x"), [
      [a, Status.QUEUED, 2n],
      [b, Status.QUEUED, 2n],
    ]);
    assert.deepEqual(tasksOf("y"), [[c, Status.QUEUED, 2n]]);
    assert.deepEqual(
      of("x")?.commands.map(({ taskId }) => taskId),
      [b],
    );
    assert.deepEqual(
      of("y")?.commands.map(({ taskId }) => taskId),
      [c],
    );
  });
});
