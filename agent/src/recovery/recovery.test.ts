import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { textOf, until } from "../testing/test-agent.js";
import { testRecovery } from "../testing/test-recovery.js";

const { INSTALLED } = ComponentState;

test("attempts are counted for alerts, are made when they are due and not later, and end at the limit", async (t) => {
  const { recovery, down, logged, lines, begun } = testRecovery(t, {
    ...{ recovery_max_count: "2", recovery_window_in_minutes: "60" },
    ...{ recovery_retry_interval: "5", recovery_lifetime_max_count: "3" },
  });
  const counts = () => recovery.counts(7n, "NN");
  assert.deepEqual(counts(), { since: undefined, count: 0, atLimit: false });
  assert.equal(recovery.counts(8n, "NN"), undefined);
  /** Finds it down twice at a minute: so often it was started by then. */
  const attempts = async (atMinute: number, starts: number) => {
    for (const time of ["first", "second"]) {
      await down(atMinute);
      assert.equal(begun(), starts, `minute ${atMinute}, the ${time} time`);
    }
  };
  const beganMs = Date.now();
  await attempts(0, 1);
  assert.ok((counts()?.since ?? 0) >= beganMs);
  assert.deepEqual({ ...counts(), since: 0 }, { since: 0, count: 1, atLimit: false });
  await attempts(5, 1);
  await attempts(5.1, 2);
  assert.equal(counts()?.count, 2);
  await attempts(20, 2);
  await attempts(60, 2);
  await attempts(60.1, 3);
  assert.deepEqual({ ...counts(), since: 0 }, { since: 0, count: 1, atLimit: true });
  await attempts(500, 3);
  assert.deepEqual(counts(), { since: undefined, count: 0, atLimit: true });
  await attempts(600, 3);
  assert.deepEqual(lines(), ["NN START", "NN START", "NN START"]);
  assert.deepEqual(
    logged
      .filter(({ msg }) => msg === "a component is not recovered")
      .map(({ component, reason }) => [component, reason]),
    [["NN", "recovery_lifetime_max_count = 3 is reached: start it yourself, or restart the agent"]],
  );
});

test("what the server repeats is not written again", async (t) => {
  const { recovery, check, folders } = testRecovery(t, {});
  const file = join(folders.clusterCache, "status_command.json");
  await until(() => textOf(file).includes("NN"), "the file");
  const { ino } = statSync(file);
  recovery.command([check("NN"), check("DN"), check("JN")], "s");
  await recovery.close();
  assert.equal(statSync(file).ino, ino);
  recovery.command([check("NN")], "s");
  await recovery.close();
  assert.notEqual(statSync(file).ino, ino);
});

test("of two that are down one is recovered after the other, which is looked at again then", async (t) => {
  const { recovery, check, lines, again } = testRecovery(t, {});
  recovery.found(check("NN"), INSTALLED);
  recovery.found(check("DN"), INSTALLED);
  await until(() => again.includes("DN"), "the other to be looked at");
  assert.deepEqual(lines(), ["NN START"]);
  recovery.found(check("DN"), INSTALLED);
  await until(() => lines().length === 2, "the other");
  assert.deepEqual(lines(), ["NN START", "DN START"]);
});

test("what is wanted by the time it could be started counts, not what was when it was found down", async (t) => {
  const { recovery, check, lines, again, fetching } = testRecovery(t, {});
  let go: () => void = () => undefined;
  fetching.over = new Promise((resolve) => {
    go = resolve;
  });
  recovery.found(check("NN"), INSTALLED);
  await until(() => fetching.asked, "its package to be asked for");
  const stopped = { ...check("NN"), desiredState: INSTALLED, desiredRequestId: 7n };
  recovery.command([stopped, check("DN")], "s");
  recovery.found(check("DN"), INSTALLED);
  go();
  await until(() => again.includes("DN"), "the other to be looked at");
  assert.deepEqual(lines(), []);
});
