import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TookTooLong, until } from "./until.js";

describe("until()", () => {
  const { signal } = new AbortController();

  it("should look until there is something, and resolve with it", async () => {
    let looks = 0;
    const look = () => {
      looks += 1;
      return looks === 3 && "it";
    };
    assert.equal(await until(look, "it", { signal, mostMs: 60_000, everyMs: 1 }), "it");
    assert.equal(looks, 3);
  });

  it("should reject when there is nothing in time, and say how far it has come", async () => {
    let looks = 0;
    const look = () => {
      looks += 1;
      return false as const;
    };
    const patience = { signal, mostMs: 30, everyMs: 1 };
    await assert.rejects(
      until(look, () => `the end after ${looks} looks`, patience),
      (error) =>
        error instanceof TookTooLong &&
        error.message === `waited 0.03 s for the end after ${looks} looks`,
    );
  });

  it("should reject when it is interrupted, and with what the look throws", async () => {
    const interrupted = new AbortController();
    const waiting = until(() => false, "it", { signal: interrupted.signal, mostMs: 60_000 });
    interrupted.abort();
    await assert.rejects(waiting, { name: "AbortError" });
    const look = () => {
      throw new Error("it has ended");
    };
    await assert.rejects(until(look, "it", { signal, mostMs: 60_000 }), {
      message: "it has ended",
    });
  });
});
