import assert from "node:assert/strict";
import { test } from "node:test";
import { reconnectPauseMs, serverAddresses } from "./server-addresses.js";

test("every server gets its turn, in an order by chance, and none twice in a row", () => {
  const all = ["a:1", "b:1", "c:1"];
  const firsts = new Set<string>();
  for (let round = 0; round < 50; round += 1) {
    const addresses = serverAddresses(all);
    const tried = Array.from({ length: 30 }, () => addresses.next().value);
    firsts.add(tried[0] ?? "");
    for (let at = 0; at < 30; at += 3) assert.equal(new Set(tried.slice(at, at + 3)).size, 3);
    for (let at = 1; at < 30; at += 1) assert.notEqual(tried[at], tried[at - 1]);
  }
  assert.deepEqual([...firsts].sort(), all);
  const only = serverAddresses(["a:1"]);
  assert.deepEqual([only.next().value, only.next().value], ["a:1", "a:1"]);
});

test("the pause before a try grows from 100 ms to 10 s, by chance in its upper half", () => {
  assert.deepEqual(
    [1, 2, 3, 7, 8, 100].map((tries) => [
      reconnectPauseMs(tries, () => 0),
      reconnectPauseMs(tries, () => 1),
    ]),
    [
      [50, 100],
      [100, 200],
      [200, 400],
      [3_200, 6_400],
      [5_000, 10_000],
      [5_000, 10_000],
    ],
  );
});
