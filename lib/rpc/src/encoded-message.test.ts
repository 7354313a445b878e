import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { UploadOutputRequestSchema } from "@howdah/proto/howdah/v1/agent_service";
import { OutputChunkSchema, OutputStream } from "@howdah/proto/howdah/v1/command";
import { encodedAs, joined, partsWith } from "./encoded-message.js";
import { encode } from "./message-size.js";

test("parts that are joined are the encoding of the message they belong to", () => {
  for (const size of [0, 1, 127, 128, 300, 20_000, 262_144]) {
    const data = Buffer.alloc(size, "some bytes ");
    const whole = create(UploadOutputRequestSchema, {
      ...{ taskId: 5n, attempt: 2 },
      chunk: { stream: OutputStream.STDERR, offset: 7n, data },
    });
    const rest = { stream: OutputStream.STDERR, offset: 7n };
    const chunk = partsWith(OutputChunkSchema, rest, "data", [data]);
    const bytes = joined(
      partsWith(UploadOutputRequestSchema, { taskId: 5n, attempt: 2 }, "chunk", chunk),
    );
    assert.deepEqual(
      toBinary(UploadOutputRequestSchema, fromBinary(UploadOutputRequestSchema, bytes)),
      toBinary(UploadOutputRequestSchema, whole),
    );
  }
});

test("a message is sent as the bytes that it was given, within the limit", () => {
  const message = create(OutputChunkSchema, { offset: 1n });
  const bytes = Buffer.from(toBinary(OutputChunkSchema, create(OutputChunkSchema, { offset: 2n })));
  assert.equal(encode(OutputChunkSchema, encodedAs(message, bytes), 100), bytes);
  assert.throws(() => encode(OutputChunkSchema, message, 1), /has 2 bytes, the limit/);
});

test("parts are joined in the buffer that is given, if they fit", () => {
  const into = Buffer.alloc(4);
  const parts = [Buffer.from("ab"), Buffer.from("cd")];
  assert.equal(joined(parts, into).buffer, into.buffer);
  assert.equal(String(joined([...parts, Buffer.from("e")], into)), "abcde");
  assert.equal(String(into), "abcd");
});
