import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import {
  type ComponentCommand,
  type ComponentEvent,
  componentCommandOf,
  componentEventOf,
  componentMoves,
  componentStates,
  moveComponent,
  nextDesiredState,
} from "./component-states.js";
import type { TaskStatus } from "./statuses.js";

const { INSTALL, START, STOP, RESTART, UNINSTALL, UPGRADE } = RoleCommand;
type Name = Exclude<keyof typeof ComponentState, "UNSPECIFIED">;

// Command, event, and what each state becomes; states that are not named stay.
const daemon: [ComponentCommand, ComponentEvent, Partial<Record<Name, Name>>][] = [
  [
    INSTALL,
    "runs",
    {
      INIT: "INSTALLING",
      INSTALL_FAILED: "INSTALLING",
      INSTALLED: "INSTALLING",
      UNINSTALLED: "INSTALLING",
    },
  ],
  [
    INSTALL,
    "succeeded",
    {
      INIT: "INSTALLED",
      INSTALLING: "INSTALLED",
      INSTALL_FAILED: "INSTALLED",
      UNINSTALLED: "INSTALLED",
      UNKNOWN: "INSTALLED",
    },
  ],
  [
    INSTALL,
    "failed",
    {
      INIT: "INSTALL_FAILED",
      INSTALLING: "INSTALL_FAILED",
      INSTALLED: "INSTALL_FAILED",
      UNINSTALLED: "INSTALL_FAILED",
    },
  ],
  [INSTALL, "cancelled", { INSTALLING: "INSTALL_FAILED" }],
  [
    INSTALL,
    "unknown",
    { INIT: "INSTALL_FAILED", INSTALLING: "INSTALL_FAILED", UNINSTALLED: "INSTALL_FAILED" },
  ],
  [INSTALL, "succeeded-late", { INSTALL_FAILED: "INSTALLED", UNKNOWN: "INSTALLED" }],
  [INSTALL, "failed-late", {}],
  [START, "runs", { INSTALLED: "STARTING", STOPPING: "STARTING", UNKNOWN: "STARTING" }],
  [
    START,
    "succeeded",
    {
      INIT: "STARTED",
      INSTALLING: "STARTED",
      INSTALL_FAILED: "STARTED",
      INSTALLED: "STARTED",
      STARTING: "STARTED",
      STOPPING: "STARTED",
      UNKNOWN: "STARTED",
    },
  ],
  [START, "failed", { STARTING: "INSTALLED", UNKNOWN: "INSTALLED" }],
  [START, "cancelled", { STARTING: "INSTALLED" }],
  [START, "unknown", { INSTALLED: "UNKNOWN", STARTING: "UNKNOWN" }],
  [START, "succeeded-late", { UNKNOWN: "STARTED" }],
  [START, "failed-late", { UNKNOWN: "INSTALLED" }],
  [
    STOP,
    "runs",
    { INSTALLED: "STOPPING", STARTING: "STOPPING", STARTED: "STOPPING", UNKNOWN: "STOPPING" },
  ],
  [
    STOP,
    "succeeded",
    { STARTING: "INSTALLED", STARTED: "INSTALLED", STOPPING: "INSTALLED", UNKNOWN: "INSTALLED" },
  ],
  [STOP, "failed", { STOPPING: "STARTED", UNKNOWN: "STARTED" }],
  [STOP, "cancelled", { STOPPING: "STARTED" }],
  [STOP, "unknown", { STARTED: "UNKNOWN", STOPPING: "UNKNOWN" }],
  [STOP, "succeeded-late", { UNKNOWN: "INSTALLED" }],
  [STOP, "failed-late", { UNKNOWN: "STARTED" }],
  [
    RESTART,
    "runs",
    { INSTALLED: "STARTING", STARTED: "STARTING", STOPPING: "STARTING", UNKNOWN: "STARTING" },
  ],
  [
    RESTART,
    "succeeded",
    {
      INIT: "STARTED",
      INSTALLING: "STARTED",
      INSTALL_FAILED: "STARTED",
      INSTALLED: "STARTED",
      STARTING: "STARTED",
      STOPPING: "STARTED",
      UNKNOWN: "STARTED",
    },
  ],
  [RESTART, "failed", { STARTING: "INSTALLED", STARTED: "INSTALLED", UNKNOWN: "INSTALLED" }],
  [RESTART, "cancelled", { STARTING: "INSTALLED" }],
  [RESTART, "unknown", { INSTALLED: "UNKNOWN", STARTING: "UNKNOWN", STARTED: "UNKNOWN" }],
  [RESTART, "succeeded-late", { UNKNOWN: "STARTED" }],
  [RESTART, "failed-late", { UNKNOWN: "INSTALLED" }],
];

const nameOf = (state: ComponentState) => ComponentState[state] as Name;

describe("moveComponent()", () => {
  for (const [command, event, moved] of daemon) {
    it(`should know what a component is when its ${RoleCommand[command]} is ${event}`, () => {
      for (const from of componentStates) {
        const { state } = moveComponent(from, command, event, false);
        assert.equal(nameOf(state), moved[nameOf(from)] ?? nameOf(from), `from ${nameOf(from)}`);
      }
    });
  }

  it("should change nothing of a client that is started, stopped or restarted", () => {
    for (const command of [START, STOP, RESTART] as const) {
      for (const event of ["runs", "succeeded", "failed", "cancelled", "unknown"] as const) {
        for (const from of componentStates) {
          assert.equal(moveComponent(from, command, event, true).state, from);
        }
      }
    }
    const { INIT, INSTALLED } = ComponentState;
    assert.equal(moveComponent(INIT, INSTALL, "succeeded", true).state, INSTALLED);
  });

  it("should leave no command's own state for ever: each end leads out of it", () => {
    const own: [ComponentCommand, ComponentState][] = [
      [INSTALL, ComponentState.INSTALLING],
      [START, ComponentState.STARTING],
      [STOP, ComponentState.STOPPING],
      [RESTART, ComponentState.STARTING],
      [UNINSTALL, ComponentState.UNINSTALLING],
      [UPGRADE, ComponentState.UPGRADING],
    ];
    for (const [command, state] of own) {
      assert.equal(componentMoves[command].runs?.to, state);
      for (const event of ["succeeded", "failed", "cancelled", "unknown"] as const) {
        const next = moveComponent(state, command, event, false).state;
        assert.notEqual(next, state, `${RoleCommand[command]} ${event}`);
      }
    }
  });

  it("should let what is DISABLED be", () => {
    for (const [command, event] of daemon) {
      const { DISABLED } = ComponentState;
      assert.equal(moveComponent(DISABLED, command, event, false).state, DISABLED);
    }
  });

  it("should take the configurations over with a START or RESTART that succeeded, for clients with an INSTALL too", () => {
    const { INSTALLED, STARTED, UNKNOWN } = ComponentState;
    const bound = (...args: Parameters<typeof moveComponent>) => moveComponent(...args).bound;
    assert.equal(bound(INSTALLED, START, "succeeded", false), true);
    assert.equal(bound(STARTED, START, "succeeded", false), true, "once more");
    assert.equal(bound(STARTED, RESTART, "succeeded", false), true);
    assert.equal(bound(INSTALLED, RESTART, "succeeded", true), true);
    assert.equal(bound(INSTALLED, INSTALL, "succeeded", true), true);
    assert.equal(bound(INSTALLED, INSTALL, "succeeded", false), false);
    assert.equal(bound(STARTED, STOP, "succeeded", false), false);
    for (const event of ["runs", "failed", "cancelled", "unknown", "failed-late"] as const) {
      assert.equal(bound(UNKNOWN, START, event, false), false, event);
    }
    assert.equal(bound(UNKNOWN, START, "succeeded-late", false), true);
    assert.equal(bound(STARTED, START, "succeeded-late", false), false, "others spoke since");
  });
});

describe("componentEventOf()", () => {
  const at = (status: TaskStatus, attempt = 1) => ({ status, attempt });
  const { PENDING, QUEUED, IN_PROGRESS, COMPLETED, FAILED, TIMEDOUT, ABORTED } = Status;
  const { HOLDING_FAILED, SKIPPED_FAILED, UNKNOWN } = Status;
  for (const [before, after, event] of [
    [at(PENDING), at(QUEUED), undefined],
    [at(QUEUED), at(IN_PROGRESS), "runs"],
    [at(QUEUED), at(COMPLETED), "succeeded"],
    [at(IN_PROGRESS), at(COMPLETED), "succeeded"],
    [at(IN_PROGRESS), at(FAILED), "failed"],
    [at(IN_PROGRESS), at(TIMEDOUT), "failed"],
    [at(IN_PROGRESS), at(HOLDING_FAILED), "failed"],
    [at(IN_PROGRESS), at(SKIPPED_FAILED), "failed"],
    [at(IN_PROGRESS), at(PENDING, 2), "failed"],
    [at(IN_PROGRESS), at(ABORTED), "cancelled"],
    [at(IN_PROGRESS), at(UNKNOWN), "unknown"],
    [at(QUEUED), at(PENDING), undefined],
    [at(UNKNOWN), at(PENDING), undefined],
    [at(UNKNOWN), at(PENDING, 2), undefined],
    [at(UNKNOWN), at(ABORTED), undefined],
    [at(UNKNOWN), at(COMPLETED), "succeeded-late"],
    [at(UNKNOWN), at(FAILED), "failed-late"],
    [at(HOLDING_FAILED), at(FAILED), undefined],
    [at(HOLDING_FAILED), at(PENDING, 2), undefined],
    [at(FAILED), at(PENDING, 2), undefined],
    [at(PENDING), at(ABORTED), undefined],
    [at(IN_PROGRESS), at(IN_PROGRESS), undefined],
  ] as const) {
    const names = `${Status[before.status]} to ${Status[after.status]} ${after.attempt}`;
    it(`should take ${names} for ${event ?? "nothing"}`, () => {
      assert.equal(componentEventOf(before, after), event);
    });
  }
});

describe("componentCommandOf()", () => {
  it("should know a restart and a stop by its custom command's name, and what moves no state", () => {
    const { CUSTOM_COMMAND } = RoleCommand;
    assert.equal(componentCommandOf(START, ""), START);
    assert.equal(componentCommandOf(CUSTOM_COMMAND, "RESTART"), RESTART);
    assert.equal(componentCommandOf(CUSTOM_COMMAND, "STOP"), STOP);
    assert.equal(componentCommandOf(CUSTOM_COMMAND, "REBALANCEHDFS"), undefined);
    assert.equal(componentCommandOf(RoleCommand.SERVICE_CHECK, ""), undefined);
    assert.equal(componentCommandOf(RoleCommand.CONFIGURE, ""), undefined);
  });
});

describe("nextDesiredState()", () => {
  const { INIT, INSTALLED, STARTED, UNINSTALLED, DISABLED } = ComponentState;
  it("should be what was asked for last, and not stop what is installed again", () => {
    assert.equal(nextDesiredState(INIT, INSTALL, false), INSTALLED);
    assert.equal(nextDesiredState(INSTALLED, START, false), STARTED);
    assert.equal(nextDesiredState(INSTALLED, RESTART, false), STARTED);
    assert.equal(nextDesiredState(STARTED, STOP, false), INSTALLED);
    assert.equal(nextDesiredState(STARTED, INSTALL, false), STARTED);
    assert.equal(nextDesiredState(STARTED, UNINSTALL, false), UNINSTALLED);
    assert.equal(nextDesiredState(UNINSTALLED, INSTALL, false), INSTALLED);
    assert.equal(nextDesiredState(INSTALLED, RESTART, true), INSTALLED, "a client");
    assert.equal(nextDesiredState(DISABLED, START, false), DISABLED);
  });
});
