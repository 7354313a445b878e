import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { pino } from "pino";
import { createLimiter } from "./limiter.js";
import { createPackageCache } from "./package-cache.js";
import { deferred, Fixture } from "./testing/fixture.js";

const log = pino({ level: "silent" });
const never = new AbortController().signal;

function digestOf(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all).toString();
}

function cacheOf(packages: string[], { maxBytes = 100, gate = Promise.resolve() } = {}) {
  const byDigest = new Map(packages.map((text) => [digestOf(Buffer.from(text)), text]));
  const loads: string[] = [];
  const cache = createPackageCache({
    async *load(digest) {
      const text = byDigest.get(digest);
      loads.push(text ?? "none");
      if (text === undefined) throw new ConnectError("there is none", Code.NotFound);
      for (let at = 0; at < text.length; at += 10) {
        yield Buffer.from(text.slice(at, at + 10));
        await gate;
      }
    },
    maxBytes,
    limiter: createLimiter(2),
    log,
  });
  const read = (text: string, signal = never) =>
    collect(cache.read(digestOf(Buffer.from(text)), signal));
  return { cache, loads, read };
}

test("many readers of one package make one load", async () => {
  const gate = deferred();
  const text = "0123456789".repeat(5);
  const { read, loads } = cacheOf([text], { gate: gate.promise });
  const reading = Array.from({ length: 20 }, () => read(text));
  gate.resolve();
  assert.deepEqual(new Set(await Promise.all(reading)), new Set([text]));
  assert.equal(await read(text), text);
  assert.equal(loads.length, 1);
});

test("the least recently used package makes room", async () => {
  const [a, b, c] = ["a", "b", "c"].map((letter) => letter.repeat(40)) as [string, string, string];
  const { read, loads, cache } = cacheOf([a, b, c]);
  for (const text of [a, b, a, c, a]) assert.equal(await read(text), text);
  assert.deepEqual(loads, [a, b, c]);
  assert.ok(cache.bytes <= 100);
  await read(b);
  assert.equal(loads.length, 4);
});

test("a package that is too large to be kept is passed on whole, again and again", async () => {
  const text = Array.from({ length: 50 }, (_, index) => `line ${index}`).join("\n");
  const { read, cache } = cacheOf([text]);
  assert.deepEqual(await Promise.all([read(text), read(text)]), [text, text]);
  assert.equal(await read(text), text);
  assert.equal(cache.bytes, 0);
});

test("a failed load is told to all who wait, and not kept", async () => {
  const { read, loads } = cacheOf([]);
  const results = await Promise.allSettled([read("x"), read("x")]);
  assert.ok(results.every(({ status }) => status === "rejected"));
  await assert.rejects(read("x"), { code: Code.NotFound });
  assert.equal(loads.length, 2);
});

test("a package that does not match its digest is not kept", async () => {
  let loads = 0;
  const cache = createPackageCache({
    async *load() {
      loads += 1;
      yield Buffer.from("damaged");
    },
    limiter: createLimiter(2),
    log,
  });
  const digest = digestOf(Buffer.from("whole"));
  await assert.rejects(collect(cache.read(digest, never)), { code: Code.DataLoss });
  await assert.rejects(collect(cache.read(digest, never)), { code: Code.DataLoss });
  assert.deepEqual([loads, cache.bytes], [2, 0]);
});

test("a reader that leaves holds up nobody; the last one to leave ends the load", async () => {
  const gate = deferred();
  const text = "0123456789".repeat(5);
  const { read, cache } = cacheOf([text], { gate: gate.promise });
  const leaving = new AbortController();
  const [gone, stays] = [read(text, leaving.signal), read(text)];
  leaving.abort(new Error("gone"));
  await assert.rejects(gone, /gone/);
  gate.resolve();
  assert.equal(await stays, text);
  assert.equal(cache.bytes, 50);
});

test("an agent fetches a package through its session, from the store once", async (t) => {
  const fixture = await Fixture.start(t);
  const data = Buffer.from("package ".repeat(1_000));
  const digest = digestOf(data);
  fixture.store.packages.set(digest, data);
  const { agent } = await fixture.dispatcher();
  const one = agent();
  const { hostId, sessionEpoch } = await one.register("web-1");
  const fetch = async (what: string, session = { hostId, sessionEpoch }) => {
    const pieces: Uint8Array[] = [];
    for await (const { data: piece } of one.client.fetchPackage({ digest: what, session })) {
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  };
  const [first, second] = await Promise.all([fetch(digest), fetch(digest)]);
  assert.ok(first.equals(data) && second.equals(data));
  assert.equal(fixture.store.packageReads, 1);
  await assert.rejects(fetch("0".repeat(64)), { code: Code.NotFound });
  await assert.rejects(fetch("../x"), { code: Code.InvalidArgument });
  await assert.rejects(fetch(digest, { hostId, sessionEpoch: 9n }), {
    code: Code.FailedPrecondition,
  });
});
