import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import type { JournalEntry } from "../journal/entry.js";
import type { JsonObject } from "../json.js";
import { testKey, until } from "../testing/test-agent.js";
import { testRecovery } from "../testing/test-recovery.js";

let tasks = 0;

/** A command of the server that runs, of no component unless it is said. */
function running(spec: JsonObject): JournalEntry {
  tasks += 1;
  return {
    ...{ key: testKey(tasks), command: { spec }, receivedAtMs: 0, state: "RUNNING" },
    ...{ start: null, cancel: null, result: null, acknowledgedAtMs: null, fileSuffix: "" },
  };
}
const about = (componentName: string) => ({ clusterId: "7", componentName });

test("what runs in the background, a week maybe, switches no other component's recovery off", async (t) => {
  const { down, open, begun } = testRecovery(t);
  open.push(running({ background: true }), running({ background: true, ...about("DN") }));
  await down(0);
  assert.equal(begun(), 1);
});

for (const [name, entry] of [
  ["a background command of the component itself", running({ background: true, ...about("NN") })],
  ["another component's command", running(about("DN"))],
  ["a command of no component", running({})],
] as const) {
  test(`${name} keeps it from being recovered until that ends, and when it takes long the log says so once`, async (t) => {
    const { recovery, find, down, open, begun, again, logged } = testRecovery(t);
    const reasons = () =>
      logged
        .filter(({ msg }) => msg === "a component is not recovered")
        .map(({ component, reason }) => `${component}: ${reason}`);
    open.push(entry);
    let minute = 0;
    const told = () => {
      find(minute++);
      return reasons().length > 0;
    };
    await until(told, "the reason");
    assert.ok(minute > 10, `told after ${minute} checks`);
    await until(() => told() && minute > 40, "more checks");
    assert.equal(begun(), 0);
    assert.ok(!again.includes("NN"));

    open[0] = { ...entry, state: "ENDED" }; // the queue drops it a moment later
    recovery.commandEnded(open[0]);
    await until(() => again.includes("NN"), "it to be looked at again");
    await down(minute);
    assert.equal(begun(), 1);
    assert.deepEqual(reasons(), ["NN: commands wait or run here"]);
  });
}

test("a disk that is full when a recovery is written is left as it was, and tried again in its turn", async (t) => {
  let writes = 0;
  const full = {
    toJSON(): never {
      writes += 1;
      throw new Error("ENOSPC: no space left on device, write");
    },
  };
  const { down, folders, begun, logged } = testRecovery(
    t,
    { recovery_retry_interval: "5", recovery_max_count: "6", recovery_window_in_minutes: "60" },
    { document: { configurationAttributes: full as unknown as JsonObject } },
  );
  const litter = () =>
    [folders.data, folders.steps].flatMap((folder) =>
      readdirSync(folder).filter((name) => name.startsWith("auto")),
    );
  for (const [atMinute, tries] of [
    [0, 1],
    [1, 1],
    [5, 1],
    [5.1, 2],
  ] as const) {
    await down(atMinute);
    assert.equal(writes, tries, `by minute ${atMinute}`);
    assert.deepEqual(litter(), []);
  }
  assert.equal(begun(), 0);
  const reasons = logged.flatMap(({ reason }) => reason ?? []);
  assert.deepEqual(reasons, ["ENOSPC: no space left on device, write"]);
});
