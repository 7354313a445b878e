import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Concurrency } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import { change, newRun, type Place, role, runContents } from "../testing/runs.js";
import { Agenda } from "./agenda.js";
import { waitsOf } from "./explain-wait.js";
import type { RunContents } from "./run-contents.js";

describe("Agenda.make()", () => {
  /** An agenda that knows sessions of hosts 1, 2 and 3, with epochs 11, 12 and 13. */
  function withHosts(maxInFlight = 0): Agenda {
    const agenda = new Agenda({
      maxInFlight,
      ...{ over() {}, settled() {}, rest() {}, wake() {} },
    });
    for (const id of [1n, 2n, 3n]) agenda.queues.opened(id, { dispatcher: "d", epoch: 10n + id });
    return agenda;
  }

  function begin(agenda: Agenda, draft: RunContents, most = 100) {
    return agenda.make(new Set(draft.tasks.map(({ hostId }) => hostId)), { draft, most });
  }

  /** The places of the tasks that may be released with a request. */
  function first(agenda: Agenda, draft: RunContents, most?: number): number[] {
    const making = begin(agenda, draft, most);
    making.end();
    return making.releases.map(({ task }) => task);
  }

  it("gives each host its first task, of what is due, with its session", () => {
    const agenda = withHosts();
    const { releases } = begin(agenda, runContents());
    assert.deepEqual(releases, [
      { task: 1, sessionEpoch: 11n },
      { task: 2, sessionEpoch: 12n },
      { task: 3, sessionEpoch: 13n },
    ]);
  });

  it("gives a host one task to start, and of those beside as many as others are sent ahead", () => {
    const stages = [[role("A"), role("B", { background: true })]];
    const places = [1, 2, 3, 4, 5, 6, 7, 8].map((id) => [id, 0, id % 2, 1] as const);
    const draft = runContents({ stages, places: places.map((place) => [...place]) });
    assert.deepEqual(first(withHosts(), draft), [2, 1, 3, 5, 7]);
  });

  it("goes by urgency without barriers: hosts and tasks", () => {
    const stages = [[role("LAST"), role("A"), role("B", { blockers: [1] })]];
    const draft = runContents({
      ...{ stages, dependencyOrdered: true },
      places: [
        [1, 0, 0, 1],
        [2, 0, 0, 2],
        [3, 0, 1, 2],
        [4, 0, 2, 3],
      ],
    });
    assert.deepEqual(first(withHosts(), draft), [3, 1]);
  });

  it("takes the first batch only, and no manual step", () => {
    const batches = runContents({
      stages: [[role("A")]],
      places: [
        [1, 0, 0, 1, 0],
        [2, 0, 0, 2, 1],
      ],
    });
    assert.deepEqual(first(withHosts(), batches), [1]);
    const manual = runContents({
      stages: [[role("STEP", { manual: true })]],
      places: [[1, 0, 0, 1]],
    });
    assert.deepEqual(first(withHosts(), manual), []);
  });

  it("takes no more than is allowed, the most urgent", () => {
    assert.deepEqual(first(withHosts(), runContents(), 2), [1, 2]);
  });

  it("leaves out hosts without a session, and those that any request wants", () => {
    const agenda = withHosts();
    agenda.queues.closed(1n, 11n);
    agenda.add(newRun({ requestId: 7n, stages: [[role("X")]], places: [[70, 0, 0, 2]] }));
    assert.deepEqual(first(agenda, runContents()), [3]);
    const beside = { concurrency: Concurrency.PARALLEL, stages: [[role("X")]] };
    agenda.add(newRun({ requestId: 8n, ...beside, places: [[80, 0, 0, 3]] }));
    assert.deepEqual(first(agenda, runContents()), []);
  });

  it("leaves out hosts that another request wants that is being stored, until that is done", () => {
    const agenda = withHosts();
    const other = agenda.make(new Set([1n, 2n]), undefined);
    const another = agenda.make(new Set([1n]), undefined);
    assert.deepEqual(other.releases, []);
    assert.deepEqual(first(agenda, runContents()), [3]);
    other.end();
    assert.deepEqual(first(agenda, runContents()), [2, 3]);
    another.end();
    assert.deepEqual(first(agenda, runContents()), [1, 2, 3]);
  });

  it("takes nothing of requests that are capped, run alone, or wait for hosts or a window", () => {
    for (const options of [
      { maxInFlight: 5 },
      { concurrency: Concurrency.EXCLUSIVE },
      { waitsForHosts: true },
      { window: "nights" },
    ]) {
      assert.deepEqual(first(withHosts(), runContents(options)), [], JSON.stringify(options));
    }
    assert.deepEqual(first(withHosts(5), runContents()), [], "the installation's cap");
    const agenda = withHosts();
    agenda.add(
      newRun({
        ...{ requestId: 7n, concurrency: Concurrency.EXCLUSIVE, paused: true },
        ...{ stages: [[role("X")]], places: [[70, 0, 0, 9]] },
      }),
    );
    assert.deepEqual(first(agenda, runContents()), [], "beside one that runs alone");
  });

  it("has nothing else released to a host that gets its first command so, until that is done", () => {
    const agenda = withHosts();
    const stages = [[role("X")]];
    const making = begin(agenda, runContents({ stages, places: [[1, 0, 0, 1]] }));
    agenda.add(
      newRun({
        ...{ requestId: 7n, stages },
        places: [
          [70, 0, 0, 1],
          [71, 0, 0, 2],
        ],
      }),
    );
    const released = () =>
      agenda.collect().entries.flatMap(({ tasks }) => tasks.map(({ taskId }) => taskId));
    assert.deepEqual(released(), [71n]);
    const [target] = agenda.runs.values();
    const waiting = target?.task(70n);
    assert.ok(target && waiting);
    assert.match(waitsOf(agenda, target, waiting)[0]?.text ?? "", /that is just being stored/);
    making.end();
    assert.deepEqual(released(), [70n]);
  });

  it("keeps its hosts no longer once it is driven, whoever found it", () => {
    const agenda = withHosts();
    const stages = [[role("X")]];
    const places: Place[] = [
      [1, 0, 0, 1],
      [2, 0, 0, 2],
    ];
    const making = begin(agenda, runContents({ stages, places }));
    const beside = newRun({ requestId: 5n, stages, places: [[50, 0, 0, 1]] });
    agenda.add(beside);
    assert.equal(agenda.queues.beingMade.holding, true);
    agenda.add(newRun({ requestId: 6n, stages, places, statuses: { 1: Status.QUEUED } }));
    assert.equal(agenda.queues.beingMade.holding, false);
    assert.deepEqual(first(agenda, runContents({ stages, places: [[1, 0, 0, 3]] })), [1]);
    const next = agenda.make(new Set([1n]), undefined);
    making.end();
    assert.equal(agenda.queues.beingMade.wants(1n), true);
    next.end();
    assert.equal(agenda.queues.beingMade.wants(1n), false);
  });

  it("has no request run alone meanwhile, nor while those commands run", () => {
    const agenda = withHosts();
    const stages = [[role("X")]];
    const making = begin(agenda, runContents({ stages, places: [[1, 0, 0, 1]] }));
    const concurrency = Concurrency.EXCLUSIVE;
    agenda.add(newRun({ requestId: 7n, concurrency, stages, places: [[70, 0, 0, 2]] }));
    assert.equal(agenda.collect().empty, true);
    const made = newRun({
      ...{ requestId: 6n, stages, places: [[1, 0, 0, 1]], statuses: { 1: Status.QUEUED } },
    });
    agenda.add(made);
    making.end();
    assert.equal(agenda.collect().empty, true);
    const applied = change(made, 1, Status.COMPLETED);
    assert.ok(applied);
    agenda.queues.changed(made, applied.task, applied.before);
    agenda.lookAt(made);
    const { entries } = agenda.collect();
    assert.deepEqual(entries[0]?.tasks.map(({ taskId }) => taskId) ?? [], [70n]);
  });
});
