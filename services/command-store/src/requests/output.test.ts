import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { type Fixture, openFixture, type Subject } from "../testing/fixture.js";
import { openSession, startStore, type TestStore } from "../testing/store.js";

const { STDOUT, STDERR } = OutputStream;

describe("AppendOutput and ReadTaskOutput", () => {
  let fixture: Fixture;
  let other: TestStore;
  before(async () => {
    fixture = await openFixture();
    other = await startStore(fixture.database.url);
  });
  after(async () => {
    await other?.stop();
    await fixture?.close();
  });

  async function running(): Promise<Subject & { taskId: bigint }> {
    const subject = await fixture.subject(1);
    await subject.transit(TaskEvent.RELEASED);
    await subject.report(TaskEvent.STARTED);
    return { ...subject, taskId: subject.taskIds[0] ?? 0n };
  }

  async function append(
    store: TestStore,
    taskId: bigint,
    offset: number,
    text: string,
    rest: { attempt?: number; hostId?: bigint; sessionEpoch?: bigint; stream?: OutputStream } = {},
  ) {
    const { stream = STDOUT, ...owner } = rest;
    const { results } = await store.client.appendOutput({
      appends: [
        {
          taskId,
          attempt: 1,
          hostId: fixture.hostId,
          sessionEpoch: fixture.sessionEpoch,
          ...owner,
          chunk: { stream, offset: BigInt(offset), data: Buffer.from(text) },
        },
      ],
    });
    assert.ok(results[0]);
    return { length: Number(results[0].length), refused: results[0].refused };
  }

  async function read(
    taskId: bigint,
    rest: { offset?: bigint; stream?: OutputStream; attempt?: number } = {},
  ) {
    let text = "";
    let complete = false;
    for await (const message of fixture.store.client.readTaskOutput({ taskId, ...rest })) {
      text += Buffer.from(message.data).toString();
      complete = message.complete;
    }
    return { text, complete };
  }

  it("should store what continues, and change nothing for a repeat, an overlap or a gap", async () => {
    const { taskId } = await running();
    assert.equal((await append(fixture.store, taskId, 0, "hello ")).length, 6);
    assert.equal((await append(fixture.store, taskId, 0, "hello ")).length, 6);
    assert.equal((await append(fixture.store, taskId, 3, "lo world")).length, 6);
    assert.equal((await append(fixture.store, taskId, 9, "gap")).length, 6);
    assert.equal((await append(fixture.store, taskId, 6, "world")).length, 11);
    assert.equal((await append(fixture.store, taskId, 0, "err", { stream: STDERR })).length, 3);
    assert.deepEqual(await read(taskId), { text: "hello world", complete: false });
    assert.equal((await read(taskId, { offset: 4n })).text, "o world");
    assert.equal((await read(taskId, { offset: 50n })).text, "");
    assert.equal((await read(taskId, { stream: STDERR })).text, "err");
  });

  it("should refuse output of another host, another session or no attempt, saying why", async () => {
    const { taskId } = await running();
    const { store } = fixture;
    assert.match((await append(store, 987_654n, 0, "x")).refused, /no task 987654/);
    assert.match((await append(store, taskId, 0, "x", { hostId: 99n })).refused, /host/);
    assert.match(
      (await append(store, taskId, 0, "x", { sessionEpoch: 99n })).refused,
      /session 99/,
    );
    assert.match((await append(store, taskId, 0, "x", { attempt: 2 })).refused, /attempt 2/);
    assert.equal((await read(taskId)).text, "");
  });

  it("should store any bytes, in pieces of any size and however many", async () => {
    const subject = await fixture.subject(70);
    await subject.transit(TaskEvent.RELEASED);
    const { hostId, sessionEpoch } = fixture;
    const bytesOf = (n: number) => Buffer.alloc(5_000 + n, Buffer.from([n, 255 - n, 0, 39, 92]));
    for (const round of [0, 1]) {
      const { results } = await fixture.store.client.appendOutput({
        appends: subject.taskIds.map((taskId, n) => {
          const data = bytesOf(n);
          const chunk = { stream: STDOUT, offset: BigInt(round * data.length), data };
          return { taskId, attempt: 1, hostId, sessionEpoch, chunk };
        }),
      });
      assert.deepEqual(
        results.map(({ length }) => Number(length)),
        subject.taskIds.map((_, n) => (round + 1) * (5_000 + n)),
      );
    }
    for (const n of [0, 33, 69]) {
      const pieces: Uint8Array[] = [];
      const taskId = subject.taskIds[n] ?? 0n;
      for await (const { data } of fixture.store.client.readTaskOutput({ taskId })) {
        pieces.push(data);
      }
      assert.deepEqual(Buffer.concat(pieces), Buffer.concat([bytesOf(n), bytesOf(n)]));
    }
  });

  it("should let one of two concurrent appends at one offset win", async () => {
    const { taskId } = await running();
    let text = "";
    for (let round = 0; round < 20; round += 1) {
      const offset = text.length;
      const pieces = ["aaaa", "bbbb", "cccc", "dddd"];
      const answers = await Promise.all(
        pieces.map((piece, i) =>
          append(i % 2 === 0 ? fixture.store : other, taskId, offset, piece),
        ),
      );
      for (const { length } of answers) assert.equal(length, offset + 4);
      const now = (await read(taskId)).text;
      assert.equal(now.length, offset + 4);
      assert.ok(pieces.includes(now.slice(offset)));
      text = now;
    }
  });

  it("should follow until the attempt has ended and all of its output is here", async () => {
    const subject = await running();
    const { taskId } = subject;
    const texts: string[] = [];
    let complete = false;
    const follower = (async () => {
      for await (const message of other.client.readTaskOutput({ taskId, follow: true })) {
        if (message.data.length > 0) texts.push(Buffer.from(message.data).toString());
        complete = message.complete;
      }
    })();
    await append(fixture.store, taskId, 0, "one ");
    await append(fixture.store, taskId, 4, "two ");
    await subject.report(TaskEvent.SUCCEEDED, taskId, {
      lengths: [{ stream: STDOUT, length: 13n, written: 13n }],
    });
    assert.equal(complete, false);
    await append(fixture.store, taskId, 8, "three");
    await follower;
    assert.equal(texts.join(""), "one two three");
    assert.equal(complete, true);
    assert.deepEqual(await read(taskId), { text: "one two three", complete: true });
  });

  it("should take and read the output of a former attempt after the next one began", async () => {
    const subject = await fixture.subject(1, { guarantee: 3 });
    await subject.transit(TaskEvent.RELEASED);
    const [taskId = 0n] = subject.taskIds;
    await append(fixture.store, taskId, 0, "first");
    await subject.report(TaskEvent.INTERRUPTED, taskId, {
      lengths: [{ stream: STDOUT, length: 8n, written: 8n }],
    });
    assert.equal((await append(fixture.store, taskId, 5, "try")).length, 8);
    assert.deepEqual(await read(taskId, { attempt: 1 }), { text: "firsttry", complete: true });
    assert.deepEqual(await read(taskId), { text: "", complete: false });
  });

  it("should go on after the host's session changed", async () => {
    const { hostId, sessionEpoch } = await openSession(fixture.store, "h2");
    const subject = await fixture.subject([[{ role: "A", hosts: [hostId] }]]);
    await subject.transit(TaskEvent.RELEASED, undefined, { hostId, sessionEpoch });
    const [taskId = 0n] = subject.taskIds;
    await subject.report(TaskEvent.SUCCEEDED, taskId, { hostId, sessionEpoch });
    const next = await openSession(fixture.store, "h2", { takeoverEpoch: sessionEpoch });
    const late = { hostId, sessionEpoch };
    assert.match((await append(fixture.store, taskId, 0, "x", late)).refused, /session/);
    const now = { hostId, sessionEpoch: next.sessionEpoch };
    assert.equal((await append(fixture.store, taskId, 0, "x", now)).length, 1);
  });

  it("should answer NOT_FOUND for a task or an attempt that does not exist", async () => {
    const { taskId } = await running();
    const notFound = (error: unknown) =>
      error instanceof ConnectError && error.code === Code.NotFound;
    await assert.rejects(read(987_654n), notFound);
    await assert.rejects(read(taskId, { attempt: 2 }), notFound);
  });
});
