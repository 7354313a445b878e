import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { broken, scheduled } from "./broken-histories.js";
import { checkHistory } from "./check-history.js";
import { cleanHistory, daemonStart, ran, seen, shown } from "./sample-history.js";
import { tellViolation } from "./tell-violation.js";

describe("checkHistory", () => {
  it("finds nothing wrong with a history in which all is well", () => {
    assert.deepEqual(checkHistory(cleanHistory()), []);
  });

  for (const [rule, cases] of Object.entries(broken)) {
    for (const [name, change] of Object.entries(cases)) {
      it(`${rule}: ${name}`, () => {
        const history = cleanHistory();
        const rules = checkHistory({ ...history, ...change(history) }).map((one) => one.rule);
        assert.ok(
          rules.some((one) => one.startsWith(rule)),
          `found only: ${rules.join("; ")}`,
        );
      });
    }
  }

  it("lets UNKNOWN become what really happened", () => {
    const history = cleanHistory();
    const sightings = [...history.sightings, seen(250, 2, 1, "UNKNOWN")];
    assert.deepEqual(checkHistory({ ...history, sightings }), []);
  });

  it("lets a task that waits say why", () => {
    const history = cleanHistory();
    const change = broken.every?.["a task waits without a word"]?.(history);
    const explanations = new Map([[2, ["its host is lost"]]]);
    const found = checkHistory({ ...history, ...change, explanations });
    assert.ok(!found.some(({ rule }) => rule.startsWith("every")));
  });

  it("lets a command of an UNKNOWN end be retried by a person, and what a wiped host had be UNKNOWN", () => {
    const history = cleanHistory();
    const formerAttempts = history.formerAttempts.map((one) => ({ ...one, status: "UNKNOWN" }));
    const journals = history.journals.map((journal) => ({ ...journal, wipedAtMs: 400 }));
    const lost = journals.map(({ entries, ...journal }) => ({
      ...journal,
      entries: entries
        .filter(({ attempt }) => attempt === 1)
        .map(({ result: _, ...entry }) =>
          entry.taskId === 3
            ? { ...entry, state: "RUNNING" as const, acknowledged: false }
            : (journals.flatMap((one) => one.entries).find((one) => one.taskId === entry.taskId) ??
              entry),
        ),
    }));
    const last = history.journals.map(({ entries, ...journal }) => ({
      ...journal,
      entries: entries.filter(({ attempt }) => attempt === 2),
    }));
    const crashes = ["host1", "host2"].map((host) => ({ host, atMs: 400 }));
    const found = checkHistory({
      ...history,
      formerAttempts,
      crashes,
      journals: [...lost, ...last],
    });
    assert.deepEqual(found, []);
  });

  it("lets a schedule make one run late, and a host in maintenance run what was asked for before", () => {
    const history = cleanHistory();
    const runs = scheduled(
      { requestId: 7, dueAt: 75_000, createdAt: 75_010 },
      { requestId: 8, dueAt: 90_000, createdAt: 130_000 },
    )(history);
    const schedules = runs.schedules?.map((one) => ({ ...one, lastDueAt: 90_000 })) ?? [];
    const maintenance = [{ host: "host2", fromMs: 15, toMs: 50 }];
    const rules = checkHistory({ ...history, ...runs, schedules, maintenance }).map(
      ({ rule }) => rule,
    );
    assert.ok(!rules.some((rule) => /^one run|^maintenance/.test(rule)), rules.join("; "));
  });

  it("lets requests run at the same time that are PARALLEL", () => {
    const history = cleanHistory();
    const submissions = history.submissions.map((one) => ({
      ...one,
      asked: { ...one.asked, concurrency: "PARALLEL" as const },
    }));
    const scripts = history.scripts.map((line) =>
      line.taskId === 2 ? { ...line, atMs: line.atMs - 50 } : line,
    );
    const rules = checkHistory({ ...history, submissions, scripts }).map(({ rule }) => rule);
    assert.ok(!rules.some((rule) => rule.startsWith("one command")), rules.join("; "));
  });

  it("lets a daemon be started anew whose START a crash has ended", () => {
    const history = cleanHistory();
    const lines = [...daemonStart(11, 100).slice(0, 1), ...daemonStart(12, 900)];
    const daemons = history.daemons.map((daemon) => ({ ...daemon, lines }));
    const crashes = [{ host: "host1", atMs: 120 }];
    const rules = checkHistory({ ...history, daemons, crashes }).map(({ rule }) => rule);
    assert.ok(!rules.some((rule) => rule.startsWith("auto start")), rules.join("; "));
  });

  it("lets a watcher see progress that a killed database then lost", () => {
    const history = cleanHistory();
    const progress = [shown(390, 2, 60), shown(450, 2, 50)];
    assert.deepEqual(checkHistory({ ...history, progress }), []);
  });

  it("lets a person go on after the budget was exceeded", () => {
    const history = cleanHistory();
    const sightings = [...history.sightings, seen(505, 2, 1, "COMPLETED")];
    assert.deepEqual(checkHistory({ ...history, sightings }), []);
  });
});

describe("tellViolation", () => {
  it("tells the events of the tasks concerned in their order, no others, and the seed", () => {
    const history = cleanHistory();
    const scripts = [...history.scripts, ...ran("host2", 1, 1, 900)];
    const [violation] = checkHistory({ ...history, scripts });
    assert.ok(violation);
    const text = tellViolation({ ...history, scripts }, violation);
    assert.match(text, /^VIOLATED 2 a step starts at most once\n/);
    assert.match(
      text,
      /s:1:1 step 1\.script started 2 times: host1 at 100, host2 at 900 \(seed 7\)/,
    );
    const times = [...text.matchAll(/^ +(\d+) {2}/gm)].map(([, time]) => Number(time));
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
    assert.match(text, /script on host1: start of task 1[\s\S]*script on host2: start of task 1/);
    assert.doesNotMatch(text, /task [23] /);
  });
});
