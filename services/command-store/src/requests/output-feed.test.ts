import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { pino } from "pino";
import { type Fixture, openFixture } from "../testing/fixture.js";
import { createOutputFeed } from "./output-feed.js";

const { STDOUT, STDERR } = OutputStream;
const key = { taskId: 7, attempt: 1, stream: STDOUT };
const chunk = (position: number, data: Buffer | string) => ({
  ...{ ...key, position },
  data: Buffer.from(data),
});

describe("the feed of output", () => {
  let fixture: Fixture;
  before(async () => {
    fixture = await openFixture();
  });
  after(() => fixture?.close());

  const feedOf = () => createOutputFeed(fixture.store.db, pino({ level: "silent" }));
  const { signal } = new AbortController();

  it("should hand on what is stored here, from where its follower is", async () => {
    const feed = feedOf();
    const follower = feed.follow(key);
    const other = feed.follow({ ...key, stream: STDERR });
    feed.appended([chunk(0, "0123"), chunk(4, "4567")]);
    feed.appended([{ ...chunk(0, "err"), stream: STDERR }]);
    const { chunks, store, task } = await follower.news(2, 1, signal);
    assert.deepEqual([chunks.map(String), store, task], [["23", "4567"], false, false]);
    assert.deepEqual((await other.news(0, 1, signal)).chunks.map(String), ["err"]);
    // Told already, or by the store before: nothing of it comes again, and the wait ends with what does.
    feed.appended([chunk(4, "4567"), chunk(8, "89")]);
    assert.deepEqual((await follower.news(8, 1, signal)).chunks.map(String), ["89"]);
    follower.close();
    other.close();
  });

  it("should send its follower to the store where something is missing, and for what it did not take", async () => {
    const feed = feedOf();
    const follower = feed.follow(key);
    feed.appended([chunk(0, "01"), chunk(5, "5")]);
    const gap = await follower.news(0, 1, signal);
    assert.deepEqual([gap.chunks.map(String), gap.store], [["01"], true]);
    for (let mib = 0; mib < 6; mib += 1) feed.appended([chunk(mib << 20, Buffer.alloc(1 << 20))]);
    const late = await follower.news(0, 1, signal);
    assert.equal(late.store, true);
    assert.deepEqual(late.chunks, []);
    follower.close();
  });

  it("should keep 64 MiB for all followers, and hand on again once one has taken its own", async () => {
    const feed = feedOf();
    const followers = Array.from({ length: 65 }, () => feed.follow(key));
    const [first, last] = [followers[0], followers.at(-1)];
    const mib = Buffer.alloc(1 << 20);
    feed.appended([chunk(0, mib)]);
    assert.equal((await last?.news(0, 1, signal))?.store, true);
    assert.equal((await first?.news(0, 1, signal))?.chunks.length, 1);
    const more = last?.news(1 << 20, 1, signal);
    feed.appended([chunk(1 << 20, mib)]);
    assert.deepEqual([(await more)?.chunks.length, (await more)?.store], [1, false]);
    for (const follower of followers) follower.close();
  });

  it("should tell of a task's change, and of one that another replica made", async () => {
    const subject = await fixture.subject(1);
    await subject.transit(TaskEvent.RELEASED);
    const [taskId = 0n] = subject.taskIds;
    const feed = feedOf();
    const follower = feed.follow({ ...key, taskId: Number(taskId) });
    const here = follower.news(0, 0, signal);
    feed.tasksChanged([1, Number(taskId)]);
    assert.equal((await here).task, true);
    // Nobody tells this feed: it finds the version another one.
    assert.equal((await follower.news(0, 0, signal)).task, true);
    const gone = new AbortController();
    const waiting = follower.news(0, 2, gone.signal);
    gone.abort();
    await waiting;
    follower.close();
  });

  it("should ask the database once for all followers, however many, while nothing is written", async () => {
    const subject = await fixture.subject(1);
    await subject.transit(TaskEvent.RELEASED);
    await subject.report(TaskEvent.STARTED);
    const [taskId = 0n] = subject.taskIds;
    const { hostId, sessionEpoch } = fixture;
    const { client, db } = fixture.store;
    const append = (offset: bigint, text: string) => {
      const piece = { stream: STDOUT, offset, data: Buffer.from(text) };
      return client.appendOutput({
        appends: [{ taskId, attempt: 1, hostId, sessionEpoch, chunk: piece }],
      });
    };
    await append(0n, "a");
    const begun: Promise<void>[] = [];
    const followers = Array.from({ length: 25 }, async () => {
      let begin = () => {};
      begun.push(
        new Promise((resolve) => {
          begin = resolve;
        }),
      );
      let text = "";
      for await (const { data } of client.readTaskOutput({ taskId, follow: true })) {
        text += Buffer.from(data).toString();
        begin();
        if (text === "all") break;
      }
    });
    await Promise.all(begun);
    let asked = 0;
    const count = ({ sql }: { sql: string }) => {
      if (sql.includes("task_output")) asked += 1;
    };
    const began = performance.now();
    db.on("query", count);
    // How often it asks shows over a time only.
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    db.removeListener("query", count);
    const most = (performance.now() - began) / 250 + 2;
    assert.ok(asked > 0 && asked <= most, `${asked} questions, at most ${most}`);
    await append(1n, "ll");
    await Promise.all(followers);
  });
});
