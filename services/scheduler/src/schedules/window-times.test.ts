import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cronTimes } from "./due-times.js";
import { openingAt, shortestPeriod } from "./window-times.js";

const hour = 3_600_000;
const at = (text: string) => Date.parse(`${text}Z`);

describe("openingAt()", () => {
  const starts = cronTimes("0 22 * * *", "Europe/Berlin");
  const opening = (text: string) => openingAt(starts, 4 * hour, at(text));

  it("is the opening that there is, from its start until right before its end, or the next one", () => {
    const night = { opensMs: at("2026-11-22T21:00"), closesMs: at("2026-11-23T01:00") };
    assert.deepEqual(opening("2026-11-22T20:59:59"), night);
    assert.deepEqual(opening("2026-11-22T21:00"), night);
    assert.deepEqual(opening("2026-11-23T00:59:59"), night);
    assert.equal(opening("2026-11-23T01:00")?.opensMs, at("2026-11-23T21:00"));
  });

  it("is as long as it says when the clocks change in it", () => {
    const spring = opening("2026-03-28T23:00");
    assert.deepEqual(spring, { opensMs: at("2026-03-28T21:00"), closesMs: at("2026-03-29T01:00") });
  });
});

describe("shortestPeriod()", () => {
  it("is the shortest time between two openings, over summer time and single short gaps", () => {
    const now = at("2026-11-22T00:00");
    assert.equal(shortestPeriod(cronTimes("0 22 * * *", ""), now), 24 * hour);
    assert.equal(shortestPeriod(cronTimes("0 22 * * *", "Europe/Berlin"), now), 23 * hour);
    assert.equal(shortestPeriod(cronTimes("0 20,22 * * SAT", ""), now), 2 * hour);
  });
});
