import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import {
  type OpenSessionRequest,
  OpenSessionRequestSchema,
  OpenSessionResponseSchema,
} from "@howdah/proto/howdah/v1/store_sessions";
import type { OpenedSession } from "./open-session.js";
import { createSessionOpener } from "./session-opener.js";

const request = (hostName: string) => create(OpenSessionRequestSchema, { hostName });
const opened: OpenedSession = { response: create(OpenSessionResponseSchema), requestIds: [] };
const names = (requests: readonly OpenSessionRequest[]) => requests.map(({ hostName }) => hostName);

describe("createSessionOpener()", () => {
  it("opens one that comes alone by itself", async () => {
    const open = createSessionOpener({
      one: async () => opened,
      many: () => Promise.reject(new Error("there are not many")),
    });
    assert.equal(await open(request("a")), opened);
  });

  it("opens together what comes together, never the same host twice, and alone what is left out", async () => {
    const together: string[][] = [];
    const alone: string[] = [];
    const open = createSessionOpener({
      async one({ hostName }) {
        alone.push(hostName);
        return opened;
      },
      async many(requests) {
        together.push(names(requests));
        const plain = requests.filter(({ hostName }) => hostName !== "odd");
        return new Map(plain.map((one) => [one, opened]));
      },
    });
    await Promise.all(["a", "odd", "b", "a"].map((name) => open(request(name))));
    assert.deepEqual(together, [["a", "odd", "b"]]);
    assert.deepEqual(alone.sort(), ["a", "odd"]);
  });

  it("makes the next batch of what comes while one is under way", async () => {
    const together: string[][] = [];
    let commit = () => {};
    const committed = new Promise<void>((resolve) => {
      commit = resolve;
    });
    const open = createSessionOpener({
      one: async () => opened,
      async many(requests) {
        together.push(names(requests));
        if (together.length === 1) await committed;
        return new Map(requests.map((one) => [one, opened]));
      },
    });
    const first = ["a", "b"].map((name) => open(request(name)));
    while (together.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const second = ["c", "d", "e"].map((name) => open(request(name)));
    commit();
    await Promise.all([...first, ...second]);
    assert.deepEqual(together, [
      ["a", "b"],
      ["c", "d", "e"],
    ]);
  });

  it("opens at most 200 together, and a MiB of facts or little more", async () => {
    const together: number[] = [];
    const open = createSessionOpener({
      one: async () => opened,
      async many(requests) {
        together.push(requests.length);
        return new Map(requests.map((one) => [one, opened]));
      },
    });
    const hosts = Array.from({ length: 250 }, (_, n) => open(request(`h${n}`)));
    await Promise.all(hosts);
    assert.deepEqual(together.splice(0), [200, 50]);
    const factsJson = "x".repeat(600 << 10);
    await Promise.all(["a", "b", "c", "d"].map((name) => open({ ...request(name), factsJson })));
    assert.deepEqual(together, [2, 2]);
  });

  it("opens at most five alone at a time", async () => {
    let underWay = 0;
    let most = 0;
    const open = createSessionOpener({
      async one() {
        underWay += 1;
        most = Math.max(most, underWay);
        await new Promise((resolve) => setImmediate(resolve));
        underWay -= 1;
        return opened;
      },
      many: async () => new Map(),
    });
    await Promise.all(Array.from({ length: 40 }, (_, n) => open(request(`h${n}`))));
    assert.equal(most, 5);
  });

  it("fails all of a batch when the database is away, and asks no more of it", async () => {
    const away = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
    const open = createSessionOpener({
      one: () => assert.fail("it is away"),
      many: () => Promise.reject(away),
    });
    const settled = await Promise.allSettled(["a", "b"].map((name) => open(request(name))));
    for (const one of settled) assert.equal(one.status === "rejected" && one.reason, away);
  });

  it("fails alone who fails, when a batch cannot be opened", async () => {
    const open = createSessionOpener({
      one: ({ hostName }) =>
        hostName === "bad" ? Promise.reject(new Error("bad")) : Promise.resolve(opened),
      many: () => Promise.reject(new Error("something is bad")),
    });
    const all = ["a", "bad", "b"].map((name) => open(request(name)));
    const settled = await Promise.allSettled(all);
    assert.deepEqual(
      settled.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
  });
});
