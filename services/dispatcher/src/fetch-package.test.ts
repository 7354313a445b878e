import assert from "node:assert/strict";
import { test } from "node:test";
import { Code } from "@connectrpc/connect";
import type { SessionKey } from "@howdah/proto/howdah/v1/store_sessions";
import { createFetchPackage } from "./fetch-package.js";
import { createLimiter } from "./limiter.js";
import type { PackageCache } from "./package-cache.js";
import type { SessionRegistry } from "./session-registry.js";
import { deferred } from "./testing/fixture.js";

const digest = "a".repeat(64);
const session = { hostId: 1n, sessionEpoch: 1n } as SessionKey;

/** Fetches whose packages come in two pieces, the second after the gate. */
function fetches(max: number, fetchIdleMs?: number) {
  const gate = deferred();
  let reading = 0;
  let most = 0;
  const packages: PackageCache = {
    bytes: 0,
    async *read() {
      reading += 1;
      most = Math.max(most, reading);
      try {
        yield Buffer.from("a");
        await gate.promise;
        yield Buffer.from("b");
      } finally {
        reading -= 1;
      }
    },
  };
  const registry = { find: () => ({}) } as unknown as SessionRegistry;
  const limiter = createLimiter(max);
  const fetchPackage = createFetchPackage({
    ...{ registry, packages, fetches: limiter },
    ...(fetchIdleMs !== undefined && { fetchIdleMs }),
  });
  const open = (signal = new AbortController().signal) =>
    fetchPackage({ digest, session } as never, { signal });
  return { gate, limiter, open, most: () => most, reading: () => reading };
}

async function collect(pieces: AsyncIterable<{ data: Uint8Array }>): Promise<string> {
  let text = "";
  for await (const { data } of pieces) text += Buffer.from(data).toString();
  return text;
}

test("so many packages are sent at once, the others wait; all come", async () => {
  const { gate, limiter, open, most } = fetches(3);
  const gone = new AbortController();
  const all = Array.from({ length: 10 }, () => collect(open()));
  const leaving = collect(open(gone.signal));
  await new Promise(setImmediate);
  assert.equal(limiter.waiting, 8);
  gone.abort(new Error("the agent went away"));
  await assert.rejects(leaving, /went away/);
  gate.resolve();
  assert.deepEqual(new Set(await Promise.all(all)), new Set(["ab"]));
  assert.equal(most(), 3);
});

test("an agent that takes nothing makes room, and is told so when it comes back", async () => {
  const { gate, limiter, open, reading } = fetches(1, 20);
  gate.resolve();
  const stuck = open();
  await stuck.next();
  // Nobody asks the stuck one for more: it must not hold up the next for ever.
  assert.equal(await collect(open()), "ab");
  await assert.rejects(stuck.next(), { code: Code.DeadlineExceeded });
  assert.equal(reading(), 0);
  assert.equal(await collect(open()), "ab");
  assert.equal(limiter.waiting, 0);
});
