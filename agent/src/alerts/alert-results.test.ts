import assert from "node:assert/strict";
import { test } from "node:test";
import { AlertState } from "@howdah/proto/howdah/v1/alert";
import { portDefinition, resultText } from "../testing/test-cluster.js";
import { AlertResults } from "./alert-results.js";
import type { HostAlert } from "./host-alert.js";

const { OK, WARNING, CRITICAL, SKIPPED } = AlertState;

function alertOf(id: number, tolerance = 1, uuid = "u"): HostAlert {
  const definition = portDefinition(`d${id}`, 1, { definitionId: BigInt(id), uuid });
  return { clusterId: 7n, clusterName: "c1", definition, tolerance };
}

function setUp(...alerts: HostAlert[]) {
  let nowMs = 0;
  const results = new AlertResults(() => nowMs);
  results.watch(alerts);
  return {
    results,
    pass: (ms: number) => {
      nowMs += ms;
    },
    find: (alert: HostAlert, state: AlertState, text = "t") =>
      results.found(alert, { state, text }),
    /** What is told now; acknowledged unless told otherwise. */
    tell(acknowledge = true): string[] {
      const reports = results.takeReports();
      if (acknowledge) for (const { sequence } of reports) results.acknowledged(sequence);
      return reports.flatMap((report) => report.results.map(resultText));
    },
  };
}

test("told is what changed, state or text, and nothing twice", () => {
  const a = alertOf(1);
  const { find, tell } = setUp(a);
  assert.equal(find(a, OK), true);
  assert.deepEqual(tell(), ["1 OK t"]);
  assert.equal(find(a, OK), false);
  assert.deepEqual(tell(), []);
  assert.equal(find(a, OK, "u"), true);
  assert.deepEqual(tell(), ["1 OK u"]);
});

test("what is not OK is told again as often as its tolerance says; a new text counts anew", () => {
  const a = alertOf(1, 2);
  const { find, tell } = setUp(a);
  const found = (state: AlertState, text?: string) => {
    find(a, state, text);
    return tell().length;
  };
  assert.deepEqual(
    [1, 2, 3, 4, 5].map(() => found(CRITICAL)),
    [1, 1, 1, 0, 0],
  );
  assert.deepEqual(
    [1, 2, 3, 4].map(() => found(CRITICAL, "other")),
    [1, 1, 1, 0],
  );
  assert.deepEqual(
    [1, 2, 3].map(() => found(OK)),
    [1, 0, 0],
  );
});

test("without a session the newest wins, and a repeat that nobody was told does not count", () => {
  const a = alertOf(1, 1);
  const { results, find, tell } = setUp(a);
  find(a, CRITICAL);
  find(a, WARNING);
  find(a, WARNING);
  find(a, WARNING);
  assert.deepEqual(tell(), ["1 WARNING t"]);
  find(a, WARNING);
  find(a, WARNING);
  assert.deepEqual(tell(), ["1 WARNING t"]);
  find(a, WARNING);
  assert.deepEqual(tell(), []);
  results.disconnected();
  assert.deepEqual(tell(), []);
});

test("what was not acknowledged is told again in the next session, what was is not", () => {
  const [a, b] = [alertOf(1), alertOf(2)];
  const { results, find, tell } = setUp(a, b);
  find(a, OK);
  assert.deepEqual(tell(), ["1 OK t"]);
  find(b, OK);
  assert.deepEqual(tell(false), ["2 OK t"]);
  assert.deepEqual(tell(false), []);
  results.disconnected();
  assert.deepEqual(tell(), ["2 OK t"]);
  results.disconnected();
  assert.deepEqual(tell(), []);
  // An acknowledgement of a former session's report is passed over.
  results.acknowledged(1n);
  results.forgetAcknowledged();
  assert.deepEqual(tell(), ["1 OK t", "2 OK t"]);
});

test("SKIPPED leaves what was known", () => {
  const a = alertOf(1);
  const { find, tell } = setUp(a);
  find(a, SKIPPED);
  assert.deepEqual(tell(), []);
  find(a, CRITICAL);
  tell();
  find(a, SKIPPED);
  assert.deepEqual(tell(), []);
});

test("a changed definition is told anew; one that is gone is forgotten", () => {
  const [a, b] = [alertOf(1), alertOf(2)];
  const { results, find, tell } = setUp(a, b);
  find(a, OK);
  find(b, OK);
  assert.equal(tell().length, 2);
  const changed = alertOf(1, 1, "v");
  results.watch([changed, b]);
  assert.equal(find(a, CRITICAL), false); // a check that began before
  find(changed, OK);
  find(b, OK);
  assert.deepEqual(tell(), ["1 OK t"]);
  results.watch([b]);
  find(changed, CRITICAL);
  results.watch([changed, b]);
  assert.deepEqual(tell(), []);
});

test("what was asked for is told whatever changed, counts as told, and ends with the session", () => {
  const a = alertOf(1);
  const { results, find, tell } = setUp(a);
  find(a, OK);
  results.answer(5n, 7n, 1n, { state: OK, text: "t" });
  results.answer(6n, 7n, 0n, { state: AlertState.UNKNOWN, text: "no such alert" });
  const [report] = results.takeReports();
  assert.deepEqual(
    report?.results.map(({ executionId }) => executionId),
    [5n, 6n],
  );
  assert.deepEqual(tell(), []);
  results.answer(7n, 7n, 1n, { state: OK, text: "t" });
  results.disconnected();
  assert.deepEqual(tell(), ["1 OK t"]); // not acknowledged, so told; but asked for by nobody any more
});

test("at most 1,000 results a report; each says how long ago it was found", () => {
  const alerts = Array.from({ length: 2_001 }, (_, index) => alertOf(index + 1));
  const { results, pass, find } = setUp(...alerts);
  for (const alert of alerts) find(alert, OK);
  pass(1_234);
  const reports = results.takeReports();
  assert.deepEqual(
    reports.map((report) => [report.sequence, report.results.length]),
    [
      [1n, 1_000],
      [2n, 1_000],
      [3n, 1],
    ],
  );
  assert.equal(reports[2]?.results[0]?.ageMs, 1_234n);
});

test("stale ones are told when they change, whole with each report", () => {
  const a = alertOf(1);
  const { results, find } = setUp(a);
  const stale = () => results.takeReports().map((report) => report.staleDefinitionIds);
  results.setStale([]);
  assert.deepEqual(stale(), []);
  results.setStale([3n, 2n]);
  assert.deepEqual(stale(), [[2n, 3n]]);
  results.setStale([2n, 3n]);
  assert.deepEqual(stale(), []);
  find(a, OK);
  assert.deepEqual(stale(), [[2n, 3n]]);
  results.setStale([]);
  assert.deepEqual(stale(), [[]]);
  for (const sequence of [2n, 3n]) results.acknowledged(sequence);
  results.disconnected();
  assert.deepEqual(stale(), []);
});

test("of reports that nobody acknowledges 1,000 are remembered; what the oldest told is told again", () => {
  const alerts = [alertOf(1), alertOf(2)] as const;
  const { results, find } = setUp(...alerts);
  const [a, b] = alerts;
  find(a, OK, "first");
  const first = results.takeReports();
  for (let n = 2; n <= 1_001; n += 1) {
    find(b, OK, `${n}`);
    const reports = results.takeReports();
    assert.equal(reports.length, 1);
  }
  // The first is forgotten: its acknowledgement comes to nothing, that of the second is known.
  for (const { sequence } of first) results.acknowledged(sequence);
  results.acknowledged(2n);
  results.disconnected();
  assert.deepEqual(
    results.takeReports().flatMap((report) => report.results.map(resultText)),
    ["1 OK first", "2 OK 1001"],
  );
});
