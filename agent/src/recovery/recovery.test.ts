import assert from "node:assert/strict";
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { StatusCheck } from "@howdah/proto/howdah/v1/command";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { pino } from "pino";
import { temporaryFolders, textOf, until } from "../testing/test-agent.js";
import { checkOf, packageDigest } from "../testing/test-checks.js";
import { Recovery } from "./recovery.js";

const { STARTED, INSTALLED } = ComponentState;
const minute = 60_000;

/** Recovery with real scripts, and a clock that the test sets. */
function recoveryOf(t: TestContext, environment: Record<string, string>) {
  const { folders, remove } = temporaryFolders();
  const here = join(folders.cache, "packages", packageDigest);
  mkdirSync(join(here, "scripts"), { recursive: true });
  const calls = join(folders.tmp, "calls");
  for (const name of ["NN", "DN"]) {
    writeFileSync(join(here, "scripts", `${name}.sh`), `echo ${name} $1 >> ${calls}\nexit 1\n`);
  }
  const clock = { nowMs: 5_000 };
  const fetching: { asked: boolean; over: Promise<void> } = {
    asked: false,
    over: Promise.resolve(),
  };
  const logged: Record<string, unknown>[] = [];
  const again: string[] = [];
  const document = {
    configurations: { "cluster-env": { recovery_enabled: "true", ...environment } },
  };
  const recovery = new Recovery({
    folders,
    packages: {
      async folder() {
        fetching.asked = true;
        await fetching.over;
        return here;
      },
      document: async () => document,
    },
    facts: { hostName: "web-1", publicHostName: "web-1", cacheDir: folders.cache },
    settings: {},
    log: pino({}, { write: (line: string) => logged.push(JSON.parse(line)) }),
    status: {
      command: () => undefined,
      standAside: async () => undefined,
      ended: () => undefined,
      checkAgain: ({ componentName } = { clusterId: 0n, componentName: "" }) =>
        void again.push(componentName),
    },
    openCommands: () => 0,
    now: () => clock.nowMs,
  });
  t.after(async () => {
    await recovery.close();
    remove();
  });
  const check = (name: string) =>
    checkOf(
      name,
      {},
      {
        ...{ configurationsDigest: "d".repeat(64), recoveryEnabled: true, desiredState: STARTED },
        desiredRequestId: 5n,
      },
    );
  recovery.command([check("NN"), check("DN")], "s");
  const lines = () => textOf(calls).split("\n").slice(0, -1);
  return {
    ...{ folders, recovery, logged, again, check, lines, fetching },
    /** Finds a component down at a minute of the clock, and waits until so many STARTs were made in all. */
    async down(atMinute: number, starts: number, one: StatusCheck = check("NN")) {
      clock.nowMs = 5_000 + atMinute * minute;
      recovery.found(one, INSTALLED);
      await until(() => lines().length >= starts, `START ${starts}`);
      await until(() => !recovery.busy({ clusterId: 7n, componentName: "NN" }), "its end");
      // One that is not due is not begun late either.
      recovery.found(one, INSTALLED);
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(lines().length, starts);
    },
  };
}

test("attempts are counted for alerts, are made when they are due, and end at the limit", async (t) => {
  const { recovery, down, logged, lines } = recoveryOf(t, {
    ...{ recovery_max_count: "2", recovery_window_in_minutes: "60" },
    ...{ recovery_retry_interval: "5", recovery_lifetime_max_count: "3" },
  });
  const counts = () => recovery.counts(7n, "NN");
  assert.deepEqual(counts(), { since: undefined, count: 0, atLimit: false });
  assert.equal(recovery.counts(8n, "NN"), undefined);
  const beganMs = Date.now();
  await down(0, 1);
  assert.ok((counts()?.since ?? 0) >= beganMs);
  assert.deepEqual({ ...counts(), since: 0 }, { since: 0, count: 1, atLimit: false });
  await down(5, 1);
  await down(5.1, 2);
  assert.equal(counts()?.count, 2);
  await down(20, 2);
  await down(60, 2);
  await down(60.1, 3);
  assert.deepEqual({ ...counts(), since: 0 }, { since: 0, count: 1, atLimit: true });
  await down(500, 3);
  assert.deepEqual(counts(), { since: undefined, count: 0, atLimit: true });
  assert.equal(lines().length, 3);
  const reasons = () => logged.filter(({ msg }) => msg === "a component is not recovered");
  await until(() => reasons().length > 0, "the reason");
  await down(600, 3);
  assert.deepEqual(
    reasons().map(({ component, reason }) => [component, reason]),
    [["NN", "recovery_lifetime_max_count = 3 is reached: start it yourself, or restart the agent"]],
  );
  assert.equal(logged.filter(({ msg }) => msg === "recovering a component").length, 3);
});

test("what the server repeats is not written again", async (t) => {
  const { recovery, check, folders } = recoveryOf(t, {});
  const file = join(folders.clusterCache, "status_command.json");
  await until(() => textOf(file).includes("NN"), "the file");
  const { ino } = statSync(file);
  recovery.command([check("NN"), check("DN")], "s");
  await recovery.close();
  assert.equal(statSync(file).ino, ino);
  recovery.command([check("NN")], "s");
  await recovery.close();
  assert.notEqual(statSync(file).ino, ino);
});

test("of two that are down one is recovered after the other, which is looked at again then", async (t) => {
  const { recovery, check, lines, again } = recoveryOf(t, {});
  recovery.found(check("NN"), INSTALLED);
  recovery.found(check("DN"), INSTALLED);
  await until(() => again.includes("DN"), "the other to be looked at");
  assert.deepEqual(lines(), ["NN START"]);
  recovery.found(check("DN"), INSTALLED);
  await until(() => lines().length === 2, "the other");
  assert.deepEqual(lines(), ["NN START", "DN START"]);
});

test("what is wanted by the time it could be started counts, not what was when it was found down", async (t) => {
  const { recovery, check, lines, again, fetching } = recoveryOf(t, {});
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
