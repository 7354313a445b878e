import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import {
  AppendOutputRequestSchema,
  type AppendOutputResponse,
  AppendOutputResponseSchema,
  OutputAppendSchema,
} from "@howdah/proto/howdah/v1/store_output";
import { givenEncoding } from "@howdah/rpc/encoded-message";
import { pino } from "pino";
import { eventually } from "./testing/eventually.js";
import { createAppendBatcher } from "./upload-output.js";

interface Call {
  readonly bytes: Buffer;
  answer(): void;
  fail(error: ConnectError): void;
}

test("calls that are under way have memory of their own, which the next ones use again, but for that of a failed one", async () => {
  const calls: Call[] = [];
  const store = {
    appendOutput: (request: Parameters<typeof givenEncoding>[0]) =>
      new Promise<AppendOutputResponse>((resolve, fail) => {
        const bytes = givenEncoding(request) ?? assert.fail("it is not encoded");
        const results = tasksIn(bytes).map(() => ({}));
        const answer = () => resolve(create(AppendOutputResponseSchema, { results }));
        calls.push({ bytes, answer, fail });
      }),
  };
  const stop = new AbortController();
  const appends = createAppendBatcher(store as never, stop.signal, pino({ level: "silent" }));
  let settled = 0;
  const add = (taskId: number) => {
    const data = Buffer.alloc(256 << 10, taskId);
    const chunk = { stream: OutputStream.STDOUT, offset: 0n, data };
    const append = create(OutputAppendSchema, { taskId: BigInt(taskId), attempt: 1, chunk });
    appends.add({ append, settle: () => (settled += 1) });
  };
  const called = (count: number) => eventually(`${count} calls`, () => calls.length === count);
  const bufferOf = (at: number) => calls[at]?.bytes.buffer;

  for (let taskId = 1; taskId <= 12; taskId += 1) add(taskId);
  await called(3);
  assert.equal(new Set([bufferOf(0), bufferOf(1), bufferOf(2)]).size, 3);
  // What was written for the later ones has changed nothing of the first.
  assert.deepEqual(
    calls.map(({ bytes }) => tasksIn(bytes)),
    [
      [1, 2, 3, 4],
      [5, 6, 7, 8],
      [9, 10, 11, 12],
    ],
  );
  calls[0]?.answer();
  await eventually("four are stored", () => settled === 4);
  for (let taskId = 13; taskId <= 16; taskId += 1) add(taskId);
  await called(4);
  assert.equal(bufferOf(3), bufferOf(0));
  calls[1]?.fail(new ConnectError("away", Code.Unavailable));
  await called(5);
  assert.deepEqual(tasksIn(calls[4]?.bytes), [5, 6, 7, 8]);
  assert.ok([1, 2, 3].every((at) => bufferOf(at) !== bufferOf(4)));
  for (const { answer } of calls) answer();
  await appends.flushed(stop.signal);
  assert.equal(settled, 16);
});

/** The tasks whose bytes a message has. */
function tasksIn(bytes: Buffer = Buffer.alloc(0)): number[] {
  const { appends } = fromBinary(AppendOutputRequestSchema, new Uint8Array(bytes));
  return appends.map(({ taskId, chunk }) => {
    assert.ok(chunk?.data.every((byte) => byte === Number(taskId)));
    return Number(taskId);
  });
}
