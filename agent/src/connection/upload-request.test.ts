import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { UploadOutputRequestSchema } from "@howdah/proto/howdah/v1/agent_service";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import { givenEncoding } from "@howdah/rpc/encoded-message";
import { uploadRequest } from "./upload-request.js";

test("a piece of output is encoded as the message that it is", () => {
  for (const size of [0, 1, 100, 262_144]) {
    const request = uploadRequest({
      ...{ hostId: 3n, sessionEpoch: 9n, taskId: 1_000_000_000_001n, attempt: 2 },
      ...{
        stream: OutputStream.STDERR,
        offset: 5_000_000_000n,
        data: Buffer.alloc(size, "line\n"),
      },
    });
    const bytes = givenEncoding(request);
    assert.ok(bytes);
    const decoded = fromBinary(UploadOutputRequestSchema, new Uint8Array(bytes));
    assert.deepEqual(
      Buffer.from(toBinary(UploadOutputRequestSchema, decoded)),
      Buffer.from(toBinary(UploadOutputRequestSchema, request)),
    );
  }
});
