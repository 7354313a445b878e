import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary } from "@bufbuild/protobuf";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import {
  AppendOutputRequestSchema,
  OutputAppendSchema,
} from "@howdah/proto/howdah/v1/store_output";
import { givenEncoding } from "@howdah/rpc/encoded-message";
import { encodeAppends } from "./encode-appends.js";

test("appends come out of their encoding as they went in, whether they fit the spare buffer or not", () => {
  const appends = [0, 5, 200, 262_144].map((size, n) =>
    create(OutputAppendSchema, {
      ...{ taskId: 7_000_000_000n + BigInt(n), attempt: n, hostId: 3n, sessionEpoch: 4n },
      chunk: { stream: OutputStream.STDOUT, offset: 5n, data: Buffer.alloc(size, `${n}`) },
    }),
  );
  const whole = [...appends, create(OutputAppendSchema, { taskId: 9n })];
  for (const spare of [Buffer.alloc(0), Buffer.alloc(1 << 20, "x")]) {
    const bytes = givenEncoding(encodeAppends(whole, spare));
    assert.ok(bytes);
    const decoded = fromBinary(AppendOutputRequestSchema, new Uint8Array(bytes));
    assert.deepEqual(
      decoded.appends.map(({ taskId, attempt, hostId, sessionEpoch }) =>
        [taskId, attempt, hostId, sessionEpoch].map(Number),
      ),
      whole.map(({ taskId, attempt, hostId, sessionEpoch }) =>
        [taskId, attempt, hostId, sessionEpoch].map(Number),
      ),
    );
    for (const [n, { chunk }] of decoded.appends.entries()) {
      const sent = whole[n]?.chunk;
      assert.equal(chunk?.stream, sent?.stream);
      assert.equal(chunk?.offset, sent?.offset);
      assert.deepEqual(chunk && Buffer.from(chunk.data), sent && Buffer.from(sent.data));
    }
  }
});
