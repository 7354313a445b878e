import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { acknowledged, startAgent } from "../testing/started-agent.js";
import { until } from "../testing/test-agent.js";
import {
  STDERR,
  STDOUT,
  STRUCTURED,
  serveDispatcher,
  shellTask,
} from "../testing/test-dispatcher.js";

test("output of a running command is there 300 ms after it was written", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  const session = await dispatcher.session();
  const { prefix } = agent.folders;
  session.say(
    shellTask(
      1,
      `n=0; until test -e ${prefix}/go; do n=$((n+1)); echo $n; date +%s%N; sleep 0.2; done`,
    ),
  );
  const delays: number[] = [];
  let seen = 0;
  await until(() => {
    const lines = dispatcher.stored(1, STDOUT).toString().split("\n");
    const now = Date.now();
    for (; seen * 2 + 2 < lines.length; seen += 1) {
      delays.push(now - Number(lines[seen * 2 + 1]) / 1e6);
    }
    return delays.length >= 10;
  }, "ten lines");
  writeFileSync(join(prefix, "go"), "");
  await acknowledged(agent, 1);
  delays.sort((a, b) => a - b);
  // The median: the machine of a test may pause.
  assert.ok((delays[5] ?? 0) < 300, `${delays.map(Math.round)} ms`);
  assert.ok(dispatcher.uploads.length < 2 * delays.length + 10, `${dispatcher.uploads.length}`);
});

test("output of a running command goes on after a cut connection and a killed agent", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  const session = await dispatcher.session();
  const { prefix } = agent.folders;
  session.say(
    shellTask(1, `n=0; until test -e ${prefix}/go; do n=$((n+1)); echo $n; sleep 0.1; done`),
  );
  const more = async () => {
    const before = dispatcher.stored(1, STDOUT).length;
    await until(() => dispatcher.stored(1, STDOUT).length > before + 10, "more output");
  };
  await more();
  dispatcher.cut();
  await more();
  await agent.end("SIGKILL");
  agent.start();
  await more();
  writeFileSync(join(prefix, "go"), "");
  await acknowledged(agent, 1);
  assert.equal(hash(dispatcher.stored(1, STDOUT)), hash(outputOf(agent.folders.data, 1)));
});

test("bytes that are no UTF-8, both streams and structured output, large ones by upload", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  const session = await dispatcher.session();
  const { data } = agent.folders;
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, at) => at));
  const small = join(agent.folders.prefix, "small");
  writeFileSync(small, bytes);
  const large = join(agent.folders.prefix, "large");
  writeFileSync(large, Buffer.concat(Array(3_000).fill(bytes)));
  const structured = (id: number, what: string) =>
    `printf '{ "a":  "${what}" }' > ${data}/structured-out-${id}.json`;
  session.say(shellTask(1, `cat ${small}; cat ${small} >&2; ${structured(1, "small")}`));
  session.say(shellTask(2, `cat ${large}; cat ${large} >&2; ${structured(2, "large")}`));
  await acknowledged(agent, 1);
  await acknowledged(agent, 2);
  for (const stream of [STDOUT, STDERR]) {
    assert.deepEqual(dispatcher.stored(1, stream), bytes);
    assert.deepEqual(dispatcher.stored(2, stream), readFileSync(large));
  }
  assert.equal(dispatcher.stored(1, STRUCTURED).toString(), '{"a":"small"}');
  assert.equal(dispatcher.stored(2, STRUCTURED).toString(), '{"a":"large"}');
  const { lengths, output } = await dispatcher.ended(2);
  assert.deepEqual(
    lengths.map(({ length, written }) => [length, written]),
    [
      [768_000n, 768_000n],
      [768_000n, 768_000n],
      [13n, 13n],
    ],
  );
  assert.deepEqual(output, []);
});

test("100 MB: head and tail with a mark, one piece under way for a stream, four in all", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  const cap = 8 << 20;
  dispatcher.script.result = { outputCap: BigInt(cap) };
  const session = await dispatcher.session();
  session.say(shellTask(1, "seq 1 12000000 | head -c 100000000; echo the end"));
  const before = agent.process().pid;
  await acknowledged(agent, 1);
  const kept = dispatcher.stored(1, STDOUT);
  const file = readFileSync(join(agent.folders.data, "output-1.txt"));
  assert.ok(file.length > 90_000_000, `${file.length} bytes written`);
  assert.ok(kept.length <= cap && kept.length > cap - 20);
  assert.deepEqual(kept.subarray(0, cap / 2), file.subarray(0, cap / 2));
  const mark = /\n\[howdah: (\d+) bytes left out here; [^\n]*\]\n/.exec(
    kept.subarray(cap / 2, cap / 2 + 200).toString(),
  );
  const tail = kept.length - cap / 2 - (mark?.[0].length ?? 0);
  assert.equal(Number(mark?.[1]), file.length - cap / 2 - tail);
  assert.deepEqual(kept.subarray(-tail), file.subarray(-tail));
  const { lengths } = await dispatcher.ended(1);
  assert.equal(lengths[0]?.length, BigInt(kept.length));
  assert.equal(lengths[0]?.written, BigInt(file.length));
  const status = readFileSync(`/proc/${before}/status`, "utf8");
  const peakKb = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]);
  assert.ok(peakKb < 160_000, `the agent took ${peakKb} KB`);
});

test("many outputs at once share the bound", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  dispatcher.script.holdUploads = true;
  const session = await dispatcher.session();
  const tasks = Array.from({ length: 12 }, (_, at) => at + 1);
  for (const task of tasks) session.say(shellTask(task, "head -c 20000 /dev/zero"));
  for (const task of tasks) await dispatcher.ended(task);
  await until(() => dispatcher.uploads.length > 0, "an upload");
  dispatcher.script.holdUploads = false;
  for (const task of tasks) await acknowledged(agent, task);
  // A server reads one piece at a time, the others wait on the way.
  for (const task of tasks) assert.equal(dispatcher.stored(task, STDOUT).length, 20_000);
  assert.equal(dispatcher.uploadStreams, 1);
});

test("a stream of output that breaks off is opened again within the session", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  dispatcher.script.breakUploadAt = 3;
  const session = await dispatcher.session();
  session.say(shellTask(1, "seq 1 200000"));
  await acknowledged(agent, 1);
  assert.equal(dispatcher.sessions.length, 1);
  assert.equal(dispatcher.uploadStreams, 2);
  assert.equal(hash(dispatcher.stored(1, STDOUT)), hash(outputOf(agent.folders.data, 1)));
});

test("refused output is not given up: it is tried again", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  dispatcher.script.refuseUploads = "the session is not the current one";
  const session = await dispatcher.session();
  session.say(shellTask(1, "seq 1 20000"));
  await dispatcher.ended(1);
  await until(() => dispatcher.uploads.length > 2, "further tries");
  assert.equal(agent.entry(1)?.acknowledgedAtMs, null);
  const tries = dispatcher.uploads.length;
  assert.ok(tries < 10, `${tries} tries`);
  dispatcher.script.refuseUploads = "";
  await acknowledged(agent, 1);
  assert.equal(hash(dispatcher.stored(1, STDOUT)), hash(outputOf(agent.folders.data, 1)));
});

test("a former attempt's output is its own, though the next one took its files' names", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  dispatcher.script.holdUploads = true;
  const session = await dispatcher.session();
  const { data } = agent.folders;
  const line = (what: string) =>
    `yes ${what} | head -c 600000; printf '{"a":"${what}"}' > ${data}/structured-out-1.json`;
  session.say(shellTask(1, line("first")));
  await dispatcher.ended(1);
  session.say(shellTask(1, line("second"), { attempt: 2 }));
  await dispatcher.ended(1, 2);
  dispatcher.script.holdUploads = false;
  await acknowledged(agent, 1, 1);
  await acknowledged(agent, 1, 2);
  for (const [attempt, what] of [
    [1, "first"],
    [2, "second"],
  ] as const) {
    const stored = dispatcher.stored(1, STDOUT, attempt).toString();
    assert.equal(stored, `${what}\n`.repeat(600_000).slice(0, 600_000));
    assert.equal(dispatcher.stored(1, STRUCTURED, attempt).toString(), `{"a":"${what}"}`);
  }
});

test("files that somebody cut or removed do not keep a result from being acknowledged", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  dispatcher.script.holdAcks = true;
  const session = await dispatcher.session();
  const { data } = agent.folders;
  session.say(
    shellTask(1, `printf '{"a":"b"}' > ${data}/structured-out-1.json; yes | head -c 500000`),
  );
  const report = await dispatcher.ended(1);
  assert.equal(report.event, TaskEvent.SUCCEEDED);
  truncateSync(join(data, "output-1.txt"), 300_000);
  writeFileSync(join(data, "structured-out-1.json"), '{"a":"changed"}');
  dispatcher.releaseAcks();
  await acknowledged(agent, 1);
  assert.equal(dispatcher.stored(1, STDOUT).length, 500_000);
  assert.equal(dispatcher.stored(1, STRUCTURED).length, 9);
  JSON.parse(dispatcher.stored(1, STRUCTURED).toString());
});

function outputOf(data: string, task: number): Buffer {
  return readFileSync(join(data, `output-${task}.txt`));
}

function hash(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
