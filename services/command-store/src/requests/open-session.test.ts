import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { query } from "../database/query.js";
import { type Fixture, openFixture } from "../testing/fixture.js";
import { openSession } from "../testing/store.js";

/** Hosts that register at the same moment, so that all are opened in one transaction as far as they can be. */
const ways = [
  { how: "", beside: 0 },
  { how: ", with others at the same moment", beside: 3 },
];

for (const { how, beside } of ways)
  describe(`OpenSession${how}`, () => {
    let fixture: Fixture;
    let d1: bigint;
    before(async () => {
      fixture = await openFixture();
      d1 = await acquire("dispatcher/d1", "d1/1");
    });
    after(() => fixture?.close());

    async function acquire(name: string, holder: string): Promise<bigint> {
      const { lease } = await fixture.store.client.acquireLease({
        name,
        holder,
        address: "127.0.0.1:7430",
        durationMs: 6_000n,
      });
      return lease?.token ?? 0n;
    }

    let others = 0;
    async function open(hostName: string, rest: Parameters<typeof openSession>[2] = {}) {
      const besides = Array.from({ length: beside }, () => {
        others += 1;
        return openSession(fixture.store, `beside-${others}`, { dispatcherToken: d1 });
      });
      const opening = openSession(fixture.store, hostName, { dispatcherToken: d1, ...rest });
      const [settled] = await Promise.allSettled([opening, ...besides]);
      for (const one of await Promise.all(besides)) assert.equal(one.sessionEpoch, 1n);
      if (settled.status === "rejected") throw settled.reason;
      return settled.value;
    }

    it("should make a new host with its first session", async () => {
      const answer = await open("new", {
        labels: { rack: "r1" },
        factsJson: '{"osfamily":"debian12"}',
      });
      assert.equal(answer.sessionEpoch, 1n);
      assert.ok(answer.hostId > 0n);
      assert.equal(answer.storeId.length, 36);
      assert.deepEqual([answer.tasks, answer.commands, answer.conflict], [[], [], undefined]);
      const [host] = await query<{ labels: string; facts: string }>(
        fixture.database.db,
        "select labels, facts from host where host_name = 'new'",
      );
      assert.deepEqual(host, { labels: '{"rack":"r1"}', facts: '{"osfamily":"debian12"}' });
    });

    it("should make one host when it registers twice at once", async () => {
      const answers = await Promise.all([open("twice"), open("twice"), open("twice")]);
      assert.equal(new Set(answers.map(({ hostId }) => hostId)).size, 1);
      assert.equal(answers.filter(({ conflict }) => conflict === undefined).length, 1);
    });

    it("should open the next session once the last one is closed", async () => {
      const first = await open("again");
      await fixture.store.client.closeSessions({
        sessions: [{ hostId: first.hostId, sessionEpoch: first.sessionEpoch + 5n }],
      });
      assert.ok((await open("again")).conflict);
      await fixture.store.client.closeSessions({
        sessions: [{ hostId: first.hostId, sessionEpoch: first.sessionEpoch }],
      });
      const second = await open("again");
      assert.equal(second.hostId, first.hostId);
      assert.equal(second.sessionEpoch, first.sessionEpoch + 1n);
    });

    it("should name both peers when another session stands in the way", async () => {
      const first = await open("conflict", { peerAddress: "10.0.0.1:5" });
      const same = await open("conflict");
      assert.equal(same.sessionEpoch, 0n);
      assert.deepEqual(
        [
          same.conflict?.sessionEpoch,
          same.conflict?.dispatcher,
          same.conflict?.dispatcherAddress,
          same.conflict?.peerAddress,
          same.conflict?.sameAgent,
        ],
        [first.sessionEpoch, "dispatcher/d1", "127.0.0.1:7430", "10.0.0.1:5", true],
      );
      const cloned = await open("conflict", { agentId: "another machine" });
      assert.equal(cloned.conflict?.sameAgent, false);
    });

    it("should take over a session whose stream does not answer, for the same agent and journal only", async () => {
      const first = await open("probed");
      const takeoverEpoch = first.sessionEpoch;
      assert.ok((await open("probed", { takeoverEpoch, agentId: "clone" })).conflict);
      assert.ok((await open("probed", { takeoverEpoch, journalId: "clone" })).conflict);
      assert.ok((await open("probed", { takeoverEpoch: takeoverEpoch + 1n })).conflict);
      assert.equal((await open("probed", { takeoverEpoch })).sessionEpoch, takeoverEpoch + 1n);
    });

    it("should take over from a dispatcher that restarted, gave its lease back or lost it", async () => {
      const token = await acquire("dispatcher/d2", "d2/1");
      const old = { dispatcher: "dispatcher/d2", dispatcherToken: token };
      for (const host of ["restarted", "lost", "gone"]) await open(host, old);
      assert.ok((await open("lost")).conflict);
      const restarted = { ...old, dispatcherToken: token + 1n };
      assert.equal((await open("restarted", restarted)).sessionEpoch, 2n);
      await acquire("dispatcher/d2", "d2/2");
      assert.equal((await open("lost")).sessionEpoch, 2n);
      await open("gone", { dispatcher: "dispatcher/never-held" });
      assert.equal((await open("gone")).sessionEpoch, 3n);
    });

    it("should send again what the same journal does not list, in (request, stage, task) order", async () => {
      const first = await open("resend");
      const { hostId, sessionEpoch } = first;
      const hosts = [hostId, hostId];
      const one = await fixture.subject([[{ role: "A", hosts }], [{ role: "B", hosts }]]);
      const two = await fixture.subject([[{ role: "A", hosts }]]);
      const [a = 0n, b = 0n, c = 0n, d = 0n] = one.taskIds;
      const [e = 0n, f = 0n] = two.taskIds;
      await two.transit(TaskEvent.RELEASED, [e, f], { hostId, sessionEpoch });
      await one.transit(TaskEvent.RELEASED, [d, c, a, b], { hostId, sessionEpoch });
      await one.report(TaskEvent.STARTED, a, { hostId, sessionEpoch });
      await one.report(TaskEvent.SUCCEEDED, b, { hostId, sessionEpoch });
      await two.transit(TaskEvent.CANCEL_REQUESTED, [f], { hostId });
      const next = await open("resend", {
        takeoverEpoch: sessionEpoch,
        listed: [
          { taskId: a, attempt: 1 },
          { taskId: b, attempt: 1 },
          { taskId: d, attempt: 1 },
        ],
      });
      assert.deepEqual(
        next.tasks.map((task) => [task.taskId, task.status]),
        [
          [a, Status.IN_PROGRESS],
          [b, Status.COMPLETED],
          [c, Status.QUEUED],
          [d, Status.QUEUED],
          [e, Status.QUEUED],
          [f, Status.QUEUED],
        ],
      );
      assert.deepEqual(
        next.commands.map(({ taskId, cancelRequested }) => [taskId, cancelRequested]),
        [
          [c, false],
          [e, false],
          [f, true],
        ],
      );
      assert.equal(next.commands[0]?.spec?.script, "scripts/B.py");
      const open1 = next.tasks.filter(({ status }) => status !== Status.COMPLETED);
      assert.ok(open1.every((task) => task.sessionEpoch === next.sessionEpoch));
    });

    it("should give up what a lost journal held, but not what the new one lists", async () => {
      const { hostId, sessionEpoch } = await open("wiped");
      const subject = await fixture.subject([
        [{ role: "A", hosts: [hostId, hostId, hostId, hostId] }],
      ]);
      const [a = 0n, b = 0n, c = 0n] = subject.taskIds;
      await subject.transit(TaskEvent.RELEASED, [a, b, c], { hostId, sessionEpoch });
      await subject.report(TaskEvent.STARTED, b, { hostId, sessionEpoch });
      const before = await subject.request();
      await fixture.store.client.closeSessions({ sessions: [{ hostId, sessionEpoch }] });
      const next = await open("wiped", { journalId: "new", listed: [{ taskId: c, attempt: 1 }] });
      assert.deepEqual(
        next.tasks.map((task) => [task.taskId, task.status]),
        [
          [a, Status.UNKNOWN],
          [b, Status.UNKNOWN],
          [c, Status.QUEUED],
        ],
      );
      assert.deepEqual(next.commands, []);
      const request = await subject.request();
      assert.deepEqual(
        [
          request.counts?.unknown,
          request.counts?.queued,
          request.counts?.inProgress,
          request.counts?.pending,
        ],
        [2, 1, 0, 1],
      );
      assert.ok(request.version > before.version);
      assert.match((await subject.tasks())[0]?.reason ?? "", /journal/);
      const { tasks } = await fixture.store.client.listTasks({
        requestId: subject.requestId,
        changedAfterVersion: before.version,
      });
      assert.deepEqual(
        tasks.map(({ taskId }) => taskId),
        [a, b],
      );
    });

    it("should open nothing for a dispatcher whose lease went to a newer start of it", async () => {
      const token = await acquire("dispatcher/d3", "d3/1");
      await acquire("dispatcher/d3", "d3/2");
      await assert.rejects(
        open("stale", { dispatcher: "dispatcher/d3", dispatcherToken: token }),
        (error) => error instanceof ConnectError && error.code === Code.FailedPrecondition,
      );
    });

    it("should refuse what is no registration, naming the field", async () => {
      const cases: [Parameters<typeof open>[1], RegExp][] = [
        [{ hostName: "Upper" }, /host_name/],
        [{ agentId: "" }, /agent_id/],
        [{ journalId: "" }, /journal_id/],
        [{ factsJson: "x".repeat(70_000) }, /facts_json/],
        [{ dispatcherToken: 0n }, /dispatcher_token/],
      ];
      for (const [rest, field] of cases) {
        await assert.rejects(
          open("bad", rest),
          (error) =>
            error instanceof ConnectError &&
            error.code === Code.InvalidArgument &&
            field.test(error.message),
        );
      }
    });
  });
