import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cronTimes, onceAt } from "./due-times.js";
import { judgeDue } from "./judge-due.js";

const minute = 60_000;
const at = (text: string) => Date.parse(`2026-11-22T${text}Z`);
const hourly = cronTimes("0 * * * *", "");

describe("judgeDue()", () => {
  const judge = (from: string, now: string, latestMs = minute) =>
    judgeDue({ times: hourly, countedUntilMs: at(from), latestMs }, at(now));

  it("says nothing before a due time has come", () => {
    assert.equal(judge("03:00", "03:59:59"), undefined);
  });

  it("runs what is due, also when it is a little late", () => {
    const expected = { dueMs: at("04:00"), skip: undefined, missed: "" };
    assert.deepEqual(judge("03:00", "04:00"), expected);
    assert.deepEqual(judge("03:00", "04:01:00"), expected);
  });

  it("skips what is later than it may be, and says how late", () => {
    const verdict = judge("03:00", "04:01:01");
    assert.equal(verdict?.dueMs, at("04:00"));
    assert.match(verdict?.skip ?? "", /^missed: nobody could run it .* 61 s late$/);
    assert.match(judge("03:00", "04:45")?.skip ?? "", / 45 min late$/);
  });

  it("runs the last one of several at most, and counts the others", () => {
    const verdict = judge("03:00", "07:30", 45 * minute);
    assert.deepEqual(verdict, {
      dueMs: at("07:00"),
      skip: undefined,
      missed: "3 due times were missed before it",
    });
    assert.equal(judge("05:00", "07:00")?.missed, "1 due time was missed before it");
    assert.match(judge("03:00", "07:30")?.skip ?? "", /30 min late$/);
  });

  it("has no limit when there is none", () => {
    const at1 = { times: onceAt(0), countedUntilMs: -1, latestMs: Number.POSITIVE_INFINITY };
    assert.deepEqual(judgeDue(at1, 9e11), { dueMs: 0, skip: undefined, missed: "" });
  });
});
