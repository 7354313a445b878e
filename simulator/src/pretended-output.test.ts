import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { JournalEntry } from "@howdah/agent/journal/entry";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import { bytesOf, createPretendedOutput, failureText } from "./pretended-output.js";

const key = { storeId: "s", taskId: "12", attempt: 2 };
const { STDOUT, STDERR } = OutputStream;
const running: JournalEntry = {
  ...{ key, command: {}, receivedAtMs: 0, state: "RUNNING", start: null, cancel: null },
  ...{ result: null, acknowledgedAtMs: null, fileSuffix: "" },
};

describe("pretended output", () => {
  it("should be the same bytes however it is cut", () => {
    const whole = bytesOf(key, STDOUT, 0, 1_000);
    assert.equal(whole.length, 1_000);
    assert.ok(whole.toString().startsWith("task 12, attempt 2, line 1 "));
    for (const [from, to] of [[0, 64] as const, [63, 65] as const, [100, 999] as const]) {
      assert.deepEqual(bytesOf(key, STDOUT, from, to), whole.subarray(from, to));
    }
    assert.equal(String(bytesOf(key, STDERR, 5, failureText.length)), failureText.slice(5));
  });

  it("should be read up to what is written while its command runs, and tell of it", async () => {
    const output = createPretendedOutput();
    let told = 0;
    const unfollow = output.follow(key, () => {
      told += 1;
    });
    const read = (offset: number) =>
      output.read(() => running, { stream: STDOUT, offset, most: 50, cap: 400 });
    assert.equal((await read(0)).length, 0);
    output.wrote(key, 120);
    assert.equal(told, 1);
    assert.deepEqual(await read(100), bytesOf(key, STDOUT, 100, 120));
    output.wrote(key, 1_000);
    assert.equal(
      (await read(180)).length,
      20,
      "half the cap, since nobody knows how much it will be",
    );
    unfollow();
    output.wrote(key, 2_000);
    assert.equal(told, 2);
    output.over(key);
    assert.equal((await read(0)).length, 0);
  });
});
