import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import {
  type UploadOutputRequest,
  UploadOutputRequestSchema,
  type UploadOutputResponse,
} from "@howdah/proto/howdah/v1/agent_service";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import { pino } from "pino";
import { SessionRegistry } from "./session-registry.js";
import { eventually } from "./testing/eventually.js";
import { deferred, Fixture } from "./testing/fixture.js";
import type { RawAgent } from "./testing/raw-agent.js";
import { createUploadOutput } from "./upload-output.js";

interface SessionOf {
  hostId: bigint;
  sessionEpoch: bigint;
}

function piece({ hostId, sessionEpoch }: SessionOf, taskId: bigint, offset: number, text: string) {
  return create(UploadOutputRequestSchema, {
    session: { hostId, sessionEpoch },
    taskId,
    attempt: 1,
    chunk: { stream: OutputStream.STDOUT, offset: BigInt(offset), data: Buffer.from(text) },
  });
}

async function upload({ client }: RawAgent, pieces: UploadOutputRequest[]) {
  const answers: UploadOutputResponse[] = [];
  async function* requests() {
    yield* pieces;
  }
  for await (const answer of client.uploadOutput(requests())) answers.push(answer);
  return answers;
}

test("output is stored where it continues what is there; each append is told how much is", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const one = agent();
  const session = await one.register("web-1");
  const answers = await upload(one, [
    piece(session, 1n, 0, "hello "),
    piece(session, 1n, 3, "lo w"), // overlaps: refused by the offset, nothing changes
    piece(session, 1n, 6, "world"),
    piece(session, 2n, 0, "x"),
  ]);
  assert.deepEqual(
    answers.map(({ taskId, length, refused }) => [taskId, length, refused]),
    [
      [1n, 6n, ""],
      [1n, 6n, ""],
      [1n, 11n, ""],
      [2n, 1n, ""],
    ],
  );
  const stored = fixture.store.outputs.get(`1/1/${OutputStream.STDOUT}`) ?? new Uint8Array();
  assert.equal(Buffer.from(stored).toString(), "hello world");
});

test("output of a session that is not here is refused", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const one = agent();
  const { hostId, sessionEpoch } = await one.register("web-1");
  const foreign = piece({ hostId, sessionEpoch: sessionEpoch + 1n }, 1n, 0, "x");
  await assert.rejects(upload(one, [foreign]), { code: Code.FailedPrecondition });
  const huge = piece({ hostId, sessionEpoch }, 1n, 0, "x".repeat(300_000));
  const [refused, taken] = await upload(one, [huge, piece({ hostId, sessionEpoch }, 2n, 0, "x")]);
  assert.match(refused?.refused ?? "", /^chunk.data: has 300000 bytes/);
  assert.equal(taken?.length, 1n);
  assert.equal(fixture.store.appendBatches.length, 1);
});

test("while the store is away uploads are not read beyond the bound, and go on after", async (t) => {
  const fixture = await Fixture.start(t);
  const { store } = fixture;
  const { agent } = await fixture.dispatcher({ maxAppendBytes: 1_000 });
  const one = agent();
  const session = await one.register("web-1");
  store.down = true;
  const waiting = upload(one, [
    piece(session, 1n, 0, "y".repeat(2_000)),
    piece(session, 1n, 2_000, "y".repeat(2_000)),
  ]);
  await eventually("a try", () => store.appendCalls > 1);
  const others = Array.from({ length: 20 }, (_, index) =>
    upload(one, [piece(session, BigInt(index + 2), 0, "z".repeat(500))]),
  );
  const tries = store.appendCalls;
  await eventually("more tries", () => store.appendCalls > tries + 1);
  store.down = false;
  assert.deepEqual(
    (await waiting).map(({ length }) => length),
    [2_000n, 4_000n],
  );
  for (const answers of await Promise.all(others)) assert.equal(answers[0]?.length, 500n);
  // The one that waited, and then what was held back: nothing of it was taken in meanwhile.
  assert.equal(store.appendBatches[0]?.length, 1);
});

test("no upload is read while there is no room", async () => {
  const room = deferred();
  let read = 0;
  async function* requests() {
    read += 1;
    yield create(UploadOutputRequestSchema);
  }
  const upload = createUploadOutput({
    registry: new SessionRegistry({ opened() {}, closed() {} }, pino({ level: "silent" })),
    appends: {
      add() {},
      pending: 1,
      pendingBytes: 2,
      flushed: () => room.promise,
      room: () => room.promise,
    },
    maxAppendBytes: 1,
  });
  const first = upload(requests(), { signal: new AbortController().signal }).next();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(read, 0);
  room.resolve();
  await assert.rejects(first, { code: Code.FailedPrecondition });
  assert.equal(read, 1);
});
