import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";

/** Asserts that a call fails with this code, and this message or one like it. */
export async function rejects(call: Promise<unknown>, code: Code, message: RegExp | string) {
  await assert.rejects(call, (error: unknown) => {
    assert.ok(error instanceof ConnectError);
    if (typeof message === "string") assert.equal(error.rawMessage, message);
    else assert.match(error.rawMessage, message);
    assert.equal(Code[error.code], Code[code]);
    return true;
  });
}
