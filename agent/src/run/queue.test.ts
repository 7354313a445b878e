import assert from "node:assert/strict";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { AgentFolders } from "../folders.js";
import {
  asJsonCommand,
  shellCommand,
  startTestAgent,
  type TestAgent,
  temporaryFolders,
  testKey,
  textOf,
  until,
} from "../testing/test-agent.js";
import { testStore } from "../testing/test-store.js";
import { dataFiles } from "./data-files.js";
import type { QueueOptions } from "./queue.js";
import { recordFolderOf, removeRecordFolders } from "./record-folders.js";
import { readStepState } from "./step-records.js";

describe("openQueue()", () => {
  let folders: AgentFolders;
  let remove: () => void;
  let agent: TestAgent | undefined;
  let log: string;
  beforeEach(() => {
    ({ folders, remove } = temporaryFolders());
    log = join(folders.tmp, "log");
  });
  afterEach(async () => {
    await agent?.stop();
    agent = undefined;
    remove();
  });

  async function accept(task: number, line: string) {
    const spec = shellCommand(testKey(task), line);
    return agent?.queue.accept(spec.key, asJsonCommand(spec));
  }

  const note = (task: number) =>
    `echo begin ${task} >> ${log}; sleep 0.1; echo end ${task} >> ${log}`;

  async function start(more: Partial<QueueOptions> = {}): Promise<TestAgent> {
    agent = await startTestAgent(folders, more);
    return agent;
  }

  it("runs one command at a time, in the order of the journal", async () => {
    const { queue } = await start();
    await Promise.all([3, 1, 2].map((task) => accept(task, note(task))));
    assert.equal(queue.open(), 3);
    await queue.idle();
    const order = [3, 1, 2].flatMap((task) => [`begin ${task}`, `end ${task}`]);
    assert.equal(textOf(log), `${order.join("\n")}\n`);
  });

  it("makes a command's files while its start is made durable, and runs nothing before", async () => {
    let durable: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      durable = resolve;
    });
    let holds = false;
    agent = await startTestAgent(folders, {}, { sync: () => (holds ? held : Promise.resolve()) });
    holds = true;
    const accepted = accept(1, note(1));
    const { stdout, stderr } = dataFiles(folders, "1");
    await until(() => existsSync(stderr), "the files");
    assert.equal(statSync(stdout).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(recordFolderOf(folders, testKey(1))), []);
    durable();
    assert.equal(await accepted, "accepted");
    await agent.queue.idle();
    assert.equal(textOf(log), "begin 1\nend 1\n");
  });

  it("leaves it to a command's turn to move the files of another attempt", async () => {
    const { queue, journal } = await start();
    await accept(1, "echo first");
    await queue.idle();
    const again = shellCommand(testKey(1, 2), "echo second");
    await queue.accept(again.key, asJsonCommand(again));
    await queue.idle();
    assert.equal(journal.entry(testKey(1))?.fileSuffix, ".0");
    assert.equal(textOf(dataFiles(folders, "1", ".0").stdout), "first\n");
    assert.equal(textOf(dataFiles(folders, "1").stdout), "second\n");
  });

  it("has a command and its start share one write to the disk when nothing is before it", async () => {
    const { journal, queue } = await start();
    const before = journal.syncs();
    assert.equal(await accept(1, "true"), "accepted");
    assert.equal(journal.syncs(), before + 1);
    assert.equal(journal.entry(testKey(1))?.state, "RUNNING");
    await queue.idle();
    assert.equal(journal.syncs(), before + 2, "and its end another");
    await Promise.all([2, 3].map((task) => accept(task, note(task))));
    assert.equal(journal.entry(testKey(3))?.state, "RECEIVED", "it is not its turn");
    await queue.idle();
  });

  it("never starts a command that is cancelled before its turn, though its start is journalled", async () => {
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const told: string[] = [];
    const { journal, queue } = await start({
      mayStart: () => gate,
      onStarted: ({ key }) => told.push(`started ${key.taskId}`),
      onEnded: ({ key }) => told.push(`ended ${key.taskId}`),
    });
    const accepting = accept(1, note(1));
    const overtaking = queue.cancel(testKey(1), "enough");
    assert.equal(await accepting, "accepted");
    await overtaking;
    await accept(2, note(2));
    await queue.cancel(testKey(2), "enough");
    go();
    await queue.idle();
    for (const task of [1, 2]) {
      const { result, state } = journal.entry(testKey(task)) ?? {};
      assert.deepEqual([state, result?.status, result?.started], ["ENDED", "ABORTED", false]);
    }
    assert.deepEqual(told.sort(), ["ended 1", "ended 2"]);
    assert.equal(textOf(log), "");
  });

  it("runs lanes beside each other", async () => {
    const { queue } = await start({ laneOf: ({ key }) => key.taskId });
    const wait = (own: number, other: number) =>
      `touch ${log}.${own}; until [ -e ${log}.${other} ]; do sleep 0.02; done`;
    await accept(1, wait(1, 2));
    await accept(2, wait(2, 1));
    await queue.idle();
  });

  it("runs a command once, however often it is sent", async () => {
    const { queue } = await start();
    const answers = await Promise.all([1, 1, 1].map((task) => accept(task, note(task))));
    assert.deepEqual(answers, ["accepted", "known", "known"]);
    await queue.idle();
    assert.equal(await accept(1, note(1)), "known");
    assert.equal(textOf(log), "begin 1\nend 1\n");
  });

  it("goes on with what was queued when it is opened again, and tells each start and end once", async () => {
    const told: string[] = [];
    const tell = {
      onStarted: ({ key }: { key: { taskId: string } }) => told.push(`started ${key.taskId}`),
      onEnded: ({ key }: { key: { taskId: string } }) => told.push(`ended ${key.taskId}`),
    };
    const first = await start(tell);
    for (const task of [1, 2]) await accept(task, note(task));
    await until(() => textOf(log), "the first command to run");
    await first.stop();
    const second = await start(tell);
    await second.queue.idle();
    assert.equal(textOf(log), "begin 1\nend 1\nbegin 2\nend 2\n");
    assert.deepEqual(told, ["started 1", "ended 1", "started 2", "ended 2"]);
  });

  it("aborts after a restart what was cancelled and not started before it, even if it is on its way", async () => {
    const first = await start();
    await accept(1, note(1));
    await first.queue.idle();
    await accept(2, `${note(2)}; sleep 60`);
    await until(() => textOf(log).includes("begin 2"), "the second command to run");
    await first.stop();
    const record = join(folders.steps, `${testStore}.2.1`, "1.script.record");
    assert.equal(readStepState(record).kind, "running");
    const second = await start();
    await second.queue.cancel(testKey(2), "enough");
    await second.queue.idle();
    assert.equal(second.journal.entry(testKey(2))?.result?.status, "ABORTED");
  });

  it("goes on after a command that fails to be made ready", async () => {
    const { queue, journal } = await start({
      resolve: async ({ command, key }) => {
        if (key.taskId === "1") throw new Error("no package");
        return command as never;
      },
    });
    await accept(1, "true");
    await accept(2, "true");
    await queue.idle();
    assert.equal(journal.entry(testKey(1))?.result?.status, "FAILED");
    assert.equal(journal.entry(testKey(2))?.result?.status, "COMPLETED");
  });

  it("leaves nothing behind of an attempt whose records are removed", async () => {
    const { queue } = await start();
    await accept(1, "true");
    await queue.idle();
    removeRecordFolders(folders, [testKey(1)]);
    const record = join(folders.steps, `${testStore}.1.1`, "1.script.record");
    assert.equal(readStepState(record).kind, "none");
  });
});
