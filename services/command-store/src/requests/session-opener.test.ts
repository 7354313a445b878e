import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type OpenSessionRequest,
  OpenSessionRequestSchema,
  OpenSessionResponseSchema,
} from "@howdah/proto/howdah/v1/store_sessions";
import { createSessionOpener } from "./session-opener.js";

const request = (hostName: string) => create(OpenSessionRequestSchema, { hostName });
const opened = create(OpenSessionResponseSchema);
const allOpened = (requests: readonly OpenSessionRequest[]) =>
  new Map(requests.map((one) => [one, opened]));
const names = (requests: readonly OpenSessionRequest[]) => requests.map(({ hostName }) => hostName);
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("createSessionOpener()", () => {
  it("opens together what comes together, never the same host twice, and answers each", async () => {
    const together: string[][] = [];
    const refused = new ConnectError("stale", Code.FailedPrecondition);
    const open = createSessionOpener(async (requests) => {
      together.push(names(requests));
      return new Map(requests.map((one) => [one, one.hostName === "odd" ? refused : opened]));
    });
    const all = ["a", "odd", "b", "a"].map((name) => open(request(name)));
    const settled = await Promise.allSettled(all);
    assert.deepEqual(together, [["a", "odd", "b"], ["a"]]);
    assert.deepEqual(
      settled.map((one) => (one.status === "fulfilled" ? one.value : one.reason)),
      [opened, refused, opened, opened],
    );
  });

  it("makes the next batch of what comes while one is under way", async () => {
    const together: string[][] = [];
    let commit = () => {};
    const committed = new Promise<void>((resolve) => {
      commit = resolve;
    });
    const open = createSessionOpener(async (requests) => {
      together.push(names(requests));
      if (together.length === 1) await committed;
      return allOpened(requests);
    });
    const first = ["a", "b"].map((name) => open(request(name)));
    while (together.length === 0) await turn();
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
    const open = createSessionOpener(async (requests) => {
      together.push(requests.length);
      return allOpened(requests);
    });
    const hosts = Array.from({ length: 250 }, (_, n) => open(request(`h${n}`)));
    await Promise.all(hosts);
    assert.deepEqual(together.splice(0), [200, 50]);
    const factsJson = "x".repeat(600 << 10);
    await Promise.all(["a", "b", "c", "d"].map((name) => open({ ...request(name), factsJson })));
    assert.deepEqual(together, [2, 2]);
  });

  it("fails all of a batch when the database is away, and asks no more of it", async () => {
    const away = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
    let asked = 0;
    const open = createSessionOpener(() => {
      asked += 1;
      return Promise.reject(away);
    });
    const settled = await Promise.allSettled(["a", "b"].map((name) => open(request(name))));
    for (const one of settled) assert.equal(one.status === "rejected" && one.reason, away);
    assert.equal(asked, 1);
  });

  it("fails alone who fails, when a batch cannot be opened, at most five at a time", async () => {
    let underWay = 0;
    let most = 0;
    const open = createSessionOpener(async (requests) => {
      if (requests.length > 1) throw new Error("something is bad");
      underWay += 1;
      most = Math.max(most, underWay);
      await turn();
      underWay -= 1;
      if (requests[0]?.hostName === "bad") throw new Error("bad");
      return allOpened(requests);
    });
    const hosts = ["a", "bad", ...Array.from({ length: 40 }, (_, n) => `h${n}`)];
    const settled = await Promise.allSettled(hosts.map((name) => open(request(name))));
    const failed = hosts.filter((_, at) => settled[at]?.status === "rejected");
    assert.deepEqual([failed, most], [["bad"], 5]);
  });
});
