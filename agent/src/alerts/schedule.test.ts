import assert from "node:assert/strict";
import { test } from "node:test";
import { firstRunMs, Schedule } from "./schedule.js";

const minute = 60_000;
const one = (key: string, version = "1", intervalMs = minute) => ({ key, version, intervalMs });

test("first runs are spread over the interval, among the alerts of a host and the hosts of a fleet", () => {
  const keys = Array.from({ length: 600 }, (_, index) => `7/${index}`);
  const hosts = Array.from({ length: 600 }, (_, index) => `host-${index}`);
  for (const times of [
    keys.map((key) => firstRunMs("host", key, minute)),
    hosts.map((host) => firstRunMs(host, "7/1", minute)),
  ]) {
    const tenths = Array.from({ length: 10 }, () => 0);
    for (const time of times) {
      assert.ok(time >= 0 && time < minute);
      tenths[Math.floor(time / (minute / 10))] =
        (tenths[Math.floor(time / (minute / 10))] ?? 0) + 1;
    }
    for (const count of tenths) assert.ok(count > 30 && count < 90, tenths.join());
  }
  assert.equal(firstRunMs("host", "7/1", minute), firstRunMs("host", "7/1", minute));
  assert.ok(hosts.every((host) => firstRunMs(host, "7/1", 1_440 * minute) < 10 * minute));
});

test("what is due comes each interval on its grid", () => {
  const schedule = new Schedule("host");
  assert.equal(schedule.nextAt(), undefined);
  schedule.set([one("a")], 1_000);
  const first = 1_000 + firstRunMs("host", "a", minute);
  assert.equal(schedule.nextAt(), first);
  assert.deepEqual(schedule.takeDue(first - 1), []);
  assert.deepEqual(schedule.takeDue(first + 5), ["a"]);
  assert.deepEqual(schedule.takeDue(first + 6), []);
  assert.equal(schedule.nextAt(), first + minute);
});

test("what comes much too late is run once, and the grid stays", () => {
  const schedule = new Schedule("host");
  schedule.set([one("a")], 0);
  const first = firstRunMs("host", "a", minute);
  assert.deepEqual(schedule.takeDue(first + 10.5 * minute), ["a"]);
  assert.equal(schedule.nextAt(), first + 11 * minute);
});

test("one that did not change stays on its grid; a new version or interval begins anew; what is not named is not run", () => {
  const schedule = new Schedule("host");
  schedule.set([one("a"), one("b"), one("c"), one("d")], 0);
  const at = (key: string) => firstRunMs("host", key, minute);
  schedule.set([one("a"), one("b", "2"), one("c", "1", 2 * minute)], 1_000_000);
  assert.deepEqual(schedule.takeDue(1_000_000), ["a"]); // overdue by then, and not postponed
  assert.equal(
    schedule.nextAt(),
    Math.min(
      1_000_000 + at("b"),
      1_000_000 + firstRunMs("host", "c", 2 * minute),
      at("a") + Math.ceil((1_000_000 - at("a")) / minute) * minute,
    ),
  );
  assert.deepEqual(schedule.takeDue(9e9).sort(), ["a", "b", "c"]);
});

test("stale is what was not run for twice its interval", () => {
  const schedule = new Schedule("host");
  schedule.set([one("a"), one("b", "1", 5 * minute)], 0);
  assert.deepEqual(schedule.stale(2 * minute), []);
  assert.deepEqual(schedule.stale(2 * minute + 1), ["a"]);
  schedule.ran("a", 9 * minute);
  schedule.ran("unknown", 1);
  assert.deepEqual(schedule.stale(11 * minute), ["b"]);
});
