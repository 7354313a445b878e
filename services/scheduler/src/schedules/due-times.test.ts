import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  CronError,
  cronTimes,
  type DueTimes,
  mostCounted,
  onceAt,
  passedTimes,
} from "./due-times.js";

const berlin = "Europe/Berlin";

function firstTimes(times: DueTimes, from: string, count: number): string[] {
  const found: string[] = [];
  for (let at = Date.parse(from); found.length < count; ) {
    const next = times.next(at);
    if (next === undefined) break;
    found.push(new Date(next).toISOString().replace(":00.000Z", "Z"));
    at = next;
  }
  return found;
}

describe("cron lines", () => {
  it("are meant in their time zone, UTC when none is named", () => {
    assert.deepEqual(firstTimes(cronTimes("0 3 * * SUN", ""), "2026-11-20T00:00Z", 2), [
      "2026-11-22T03:00Z",
      "2026-11-29T03:00Z",
    ]);
    assert.deepEqual(firstTimes(cronTimes("0 3 * * 0", "Asia/Kolkata"), "2026-11-20T00:00Z", 1), [
      "2026-11-21T21:30Z",
    ]);
  });

  it("may have a second before the five fields", () => {
    const times = cronTimes("*/20 * * * * *", "");
    const from = Date.parse("2026-11-20T00:00:05Z");
    assert.equal(times.next(from), Date.parse("2026-11-20T00:00:20Z"));
  });

  const clockChanges: [what: string, line: string, from: string, expected: string[]][] = [
    [
      "a time that spring leaves out comes at the first moment after it, once",
      "30 2 * * *",
      "2026-03-28T12:00Z",
      ["2026-03-29T01:00Z", "2026-03-30T00:30Z"],
    ],
    [
      "a time that autumn has twice comes the first time only",
      "30 2 * * *",
      "2026-10-24T12:00Z",
      ["2026-10-25T00:30Z", "2026-10-26T01:30Z"],
    ],
    [
      "so it does when one looks between the two",
      "30 2 * * *",
      "2026-10-25T00:45Z",
      ["2026-10-26T01:30Z"],
    ],
    [
      "lists are times of the day too: those left out come together, once",
      "15,45 2 * * *",
      "2026-03-28T12:00Z",
      ["2026-03-29T01:00Z", "2026-03-30T00:15Z", "2026-03-30T00:45Z"],
    ],
    [
      "those that come twice count once",
      "15,45 2,3 * * *",
      "2026-10-24T12:00Z",
      ["2026-10-25T00:15Z", "2026-10-25T00:45Z", "2026-10-25T02:15Z", "2026-10-25T02:45Z"],
    ],
    [
      "each half hour goes on through spring",
      "*/30 * * * *",
      "2026-03-29T00:29Z",
      ["2026-03-29T00:30Z", "2026-03-29T01:00Z", "2026-03-29T01:30Z"],
    ],
    [
      "and through autumn",
      "*/30 * * * *",
      "2026-10-25T00:29Z",
      ["2026-10-25T00:30Z", "2026-10-25T01:00Z", "2026-10-25T01:30Z", "2026-10-25T02:00Z"],
    ],
  ];
  for (const [what, line, from, expected] of clockChanges) {
    it(`when the clocks change in Berlin: ${what}`, () => {
      assert.deepEqual(firstTimes(cronTimes(line, berlin), from, expected.length), expected);
    });
  }

  const wrong: [line: string, timeZone: string, part: string, message: RegExp][] = [
    ["", "", "cron", /has no fields; give five/],
    ["0 3 * *", "", "cron", /"0 3 \* \*" has 4 fields; give five/],
    ["0 0 3 * * * 2020", "", "cron", /has 7 fields/],
    ["2026-12-01T03:00:00Z", "", "cron", /has 1 fields/],
    ["61 3 * * *", "", "cron", /"61 3 \* \* \*" cannot be read: Invalid value for minute: 61/],
    ["a b c d e", "", "cron", /cannot be read: .*illegal characters/],
    [`0 3 * * ${"1,".repeat(200)}1`, "", "cron", /has 409 characters; at most 255/],
    ["0 3 * * *", "Mars/Phobos", "time_zone", /"Mars\/Phobos" is no time zone; give an IANA name/],
    ["0 3 * * *", "+02:00", "time_zone", /"\+02:00" is no time zone/],
  ];
  for (const [line, timeZone, part, message] of wrong) {
    it(`are refused: ${line.slice(0, 30)} ${timeZone}`, () => {
      assert.throws(
        () => cronTimes(line, timeZone),
        (error) => {
          assert.ok(error instanceof CronError);
          assert.equal(error.part, part);
          assert.match(error.message, message);
          return true;
        },
      );
    });
  }

  it("may never come, which is found out at once", () => {
    for (const line of ["0 0 30 2 *", "0 0 31 4,6,9,11 *"]) {
      const begun = process.cpuUsage();
      assert.equal(cronTimes(line, berlin).next(Date.parse("2026-11-22T00:00Z")), undefined);
      assert.ok(process.cpuUsage(begun).user < 1_000_000, "a second of processor time");
    }
  });
});

describe("passedTimes()", () => {
  const at = (text: string) => Date.parse(text);

  it("finds the last due time that has passed, and how many came before it", () => {
    const times = cronTimes("0 3 * * *", "");
    const passed = (from: string, to: string) => passedTimes(times, at(from), at(to));
    assert.equal(passed("2026-11-20T03:00Z", "2026-11-21T02:59:59Z"), undefined);
    const last = at("2026-11-21T03:00Z");
    assert.deepEqual(passed("2026-11-20T03:00Z", "2026-11-21T03:00Z"), {
      lastMs: last,
      earlier: 0,
    });
    assert.deepEqual(passed("2026-11-18T12:00Z", "2026-11-22T01:00Z"), {
      lastMs: last,
      earlier: 2,
    });
  });

  it("is cheap when very many have passed, and counts no more than it must", () => {
    const begun = process.cpuUsage();
    const times = cronTimes("* * * * * *", berlin);
    const passed = passedTimes(times, at("2020-01-01T00:00Z"), at("2026-11-22T03:00:00.500Z"));
    assert.deepEqual(passed, { lastMs: at("2026-11-22T03:00Z"), earlier: mostCounted });
    assert.ok(process.cpuUsage(begun).user < 2_000_000, "two seconds of processor time");
  });

  it("finds the same times over a clock change as one who looks all the while", () => {
    const times = cronTimes("30 2 * * *", berlin);
    const autumn = passedTimes(times, at("2026-10-25T00:30Z"), at("2026-10-25T12:00Z"));
    assert.equal(autumn, undefined);
    const spring = passedTimes(times, at("2026-03-28T01:30Z"), at("2026-03-29T12:00Z"));
    assert.deepEqual(spring, { lastMs: at("2026-03-29T01:00Z"), earlier: 0 });
  });

  it("knows a time that comes once", () => {
    const times = onceAt(1_000);
    assert.deepEqual(passedTimes(times, 0, 1_000), { lastMs: 1_000, earlier: 0 });
    assert.equal(passedTimes(times, 0, 999), undefined);
    assert.equal(passedTimes(times, 1_000, 5_000), undefined);
  });
});
