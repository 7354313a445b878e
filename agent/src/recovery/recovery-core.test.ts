import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { type Attempts, anotherAttempt } from "./attempts.js";
import { nextCommand } from "./next-command.js";
import { type RecoverySettings, readRecoverySettings } from "./recovery-settings.js";
import { unknownWanted, type Wanted, wantedAfterCheck, wantedAfterCommand } from "./wanted.js";

const { INIT, INSTALLED, STARTED, INSTALL_FAILED, UNKNOWN, UNSPECIFIED } = ComponentState;

const read = (environment: Record<string, string>) =>
  readRecoverySettings({ configurations: { "cluster-env": environment } });

describe("readRecoverySettings()", () => {
  it("should be off unless cluster-env switches it on", () => {
    for (const document of [
      {},
      { configurations: {} },
      { configurations: { "cluster-env": {} } },
      { configurations: { "cluster-env": "rubbish" } },
      { configurations: { "cluster-env": { recovery_enabled: "false" } } },
    ]) {
      assert.deepEqual(readRecoverySettings(document), { kind: "off" });
    }
  });

  it("should have Ambari's defaults, and take what is said", () => {
    assert.deepEqual(read({ recovery_enabled: "true" }), {
      kind: "on",
      settings: {
        ...{ type: "FULL", maxCount: 6, lifetimeMaxCount: 12 },
        ...{ windowMs: 3_600_000, retryIntervalMs: 300_000 },
      },
    });
    assert.deepEqual(
      read({
        ...{ recovery_enabled: "True", recovery_type: "AUTO_START", recovery_max_count: "2" },
        ...{ recovery_window_in_minutes: "10", recovery_retry_interval: "1" },
        recovery_lifetime_max_count: "1024",
      }),
      {
        kind: "on",
        settings: {
          ...{ type: "AUTO_START", maxCount: 2, lifetimeMaxCount: 1_024 },
          ...{ windowMs: 600_000, retryIntervalMs: 60_000 },
        },
      },
    );
  });

  it("should refuse what cannot be, in a line that names the key and the value", () => {
    for (const [key, value, what] of [
      ["recovery_max_count", "0", "must be a whole number above 0"],
      ["recovery_max_count", "-1", "must be a whole number above 0"],
      ["recovery_window_in_minutes", "0", "must be a whole number above 0"],
      ["recovery_retry_interval", "0.5", "must be a whole number above 0"],
      ["recovery_lifetime_max_count", "many", "must be a whole number above 0"],
      ["recovery_retry_interval", "60", "must be less than recovery_window_in_minutes, 60"],
      ["recovery_lifetime_max_count", "5", "must not be less than recovery_max_count, 6"],
      ["recovery_type", "auto", "is none of AUTO_START, AUTO_INSTALL_START, FULL"],
    ] as const) {
      assert.deepEqual(
        read({ recovery_enabled: "true", [key]: value }),
        { kind: "invalid", reason: `${key} = "${value}" ${what}` },
        `${key} ${value}`,
      );
    }
  });
});

describe("anotherAttempt()", () => {
  const defaults: RecoverySettings = {
    ...{ type: "AUTO_START", maxCount: 6, lifetimeMaxCount: 12 },
    ...{ windowMs: 3_600_000, retryIntervalMs: 300_000 },
  };

  /** When attempts are made, in minutes, of something that never comes up. */
  function schedule(settings: RecoverySettings, untilMinutes: number, asked = () => true) {
    const made: number[] = [];
    let attempts: Attempts | undefined;
    for (let ms = 0; ms <= untilMinutes * 60_000; ms += 10_000) {
      if (!asked()) continue;
      const next = anotherAttempt(attempts, settings, 1_000_000 + ms);
      if (typeof next === "string") continue;
      attempts = next;
      made.push(Math.round(ms / 6_000) / 10);
    }
    return { made, attempts };
  }

  it("should keep Ambari's observed schedule, and stop for good at the lifetime limit", () => {
    const { made, attempts } = schedule(defaults, 600);
    assert.deepEqual(made, [0, 5.2, 10.3, 15.5, 20.7, 25.8, 60.2, 65.3, 70.5, 75.7, 80.8, 86]);
    assert.equal(attempts?.lifetime, 12);
    assert.ok(attempts);
    assert.equal(anotherAttempt(attempts, defaults, 1e12), "lifetime");
  });

  it("should begin a window anew after one without an attempt", () => {
    const one = anotherAttempt(undefined, defaults, 0) as Attempts;
    assert.deepEqual(one, { count: 1, lifetime: 1, lastMs: 0, resetMs: 0 });
    assert.equal(anotherAttempt(one, defaults, 300_000), "interval");
    const two = anotherAttempt(one, defaults, 300_001) as Attempts;
    assert.deepEqual(two, { count: 2, lifetime: 2, lastMs: 300_001, resetMs: 0 });
    const later = anotherAttempt(two, defaults, 300_001 + 3_600_001) as Attempts;
    assert.deepEqual([later.count, later.lifetime, later.resetMs], [1, 3, 3_900_002]);
    const full: Attempts = { count: 6, lifetime: 6, lastMs: 1_500_000, resetMs: 0 };
    assert.equal(anotherAttempt(full, defaults, 3_600_000), "window");
    assert.deepEqual((anotherAttempt(full, defaults, 3_600_001) as Attempts).count, 1);
  });
});

describe("nextCommand()", () => {
  it("should do what each type allows", () => {
    const table = [
      [INSTALLED, STARTED, ["START", "START", "START"]],
      [STARTED, STARTED, [undefined, undefined, undefined]],
      [INSTALL_FAILED, STARTED, [undefined, "INSTALL", "INSTALL"]],
      [INSTALL_FAILED, INSTALLED, [undefined, "INSTALL", "INSTALL"]],
      [INIT, STARTED, [undefined, undefined, "INSTALL"]],
      [STARTED, INSTALLED, [undefined, undefined, "STOP"]],
      [INSTALLED, INSTALLED, [undefined, undefined, undefined]],
      [UNKNOWN, STARTED, [undefined, undefined, undefined]],
      [INSTALLED, UNSPECIFIED, [undefined, undefined, undefined]],
      [STARTED, UNSPECIFIED, [undefined, undefined, undefined]],
    ] as const;
    for (const [current, desired, commands] of table) {
      for (const [at, type] of (["AUTO_START", "AUTO_INSTALL_START", "FULL"] as const).entries()) {
        const name = `${type}: ${ComponentState[current]}, wanted ${ComponentState[desired]}`;
        assert.equal(nextCommand(type, current, desired), commands[at], name);
      }
    }
  });
});

describe("what is wanted", () => {
  /** `START 5` is a command that comes, `STARTED by 5` a check, `busy by 5` one while the request works on it, `unstated` one for maintenance. */
  function after(...events: string[]): string {
    let wanted: Wanted = unknownWanted;
    for (const event of events) {
      const [what = "", ...rest] = event.split(" ");
      const request = BigInt(rest.at(-1) ?? 0);
      if (event === "unstated" || rest[0] === "by") {
        const states: Record<string, ComponentState> = { STARTED, INSTALLED };
        const desiredState = states[what] ?? UNSPECIFIED;
        wanted = wantedAfterCheck(wanted, { desiredState, desiredRequestId: request });
      } else wanted = wantedAfterCommand(wanted, { name: what, requestId: request });
    }
    return wanted.state === undefined ? "-" : (ComponentState[wanted.state] ?? "");
  }

  for (const [events, then] of [
    [[], "-"],
    [["STARTED by 5"], "STARTED"],
    [["STARTED by 5", "STOP 7"], "INSTALLED"],
    [["STARTED by 5", "STOP 7", "STARTED by 5"], "INSTALLED"],
    [["STARTED by 5", "STOP 7", "INSTALLED by 7"], "INSTALLED"],
    [["STARTED by 5", "STOP 7", "STARTED by 9"], "STARTED"],
    [["STARTED by 5", "STOP 7", "STARTED by 9", "STARTED by 5"], "STARTED"],
    [["STARTED by 9", "STOP 7", "STARTED by 9"], "INSTALLED"],
    [["START 5", "STOP 7", "STARTED by 5"], "-"],
    [["START 5"], "-"],
    [["START 5", "STARTED by 5"], "STARTED"],
    [["INSTALLED by 1", "INSTALL 5"], "INSTALLED"],
    [["STARTED by 1", "INSTALL 5"], "STARTED"],
    [["STARTED by 1", "UNINSTALL 5"], "-"],
    [["STARTED by 1", "CONFIGURE 5"], "STARTED"],
    [["INSTALLED by 1", "RESTART 5"], "STARTED"],
    [["STARTED by 5", "unstated"], "-"],
    [["STARTED by 5", "unstated", "START 6"], "-"],
    [["STARTED by 5", "unstated", "START 6", "STARTED by 6"], "STARTED"],
    [["STARTED by 5", "unstated", "STOP 7", "STARTED by 5"], "-"],
    [["STARTED by 5", "busy by 7"], "-"],
    [["INSTALLED by 4", "busy by 5", "INSTALL 5"], "INSTALLED"],
    [["INSTALLED by 4", "busy by 5", "INSTALL 5", "busy by 5"], "INSTALLED"],
    [["INSTALLED by 4", "busy by 5", "INSTALL 5", "START 5"], "STARTED"],
    [["INSTALLED by 4", "busy by 5", "START 5", "busy by 5"], "STARTED"],
    [["STARTED by 5", "STOP 7", "busy by 5"], "INSTALLED"],
    // A request that was stopped by another one, and tried again.
    [["STARTED by 5", "STOP 7", "START 5", "INSTALLED by 7"], "STARTED"],
    [["STARTED by 5", "STOP 7", "START 5", "STARTED by 5"], "STARTED"],
  ] as const) {
    it(`should be ${then} after ${events.join(", ") || "nothing"}`, () => {
      assert.equal(after(...events), then);
    });
  }
});
