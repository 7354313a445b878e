import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { ScriptType } from "@howdah/proto/howdah/v1/command";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import {
  StackDefinition_Category as Category,
  type StackDefinition,
  StackDefinitionSchema,
} from "@howdah/proto/howdah/v1/stack";
import { type ComponentWord, NotInstalledError } from "./component-states.js";
import { HostsOfflineError, type Operation } from "./operation.js";
import type { PlanInput } from "./plan-input.js";
import { planOperation } from "./plan-operation.js";

const { INIT, INSTALLING, INSTALL_FAILED, INSTALLED, STARTING, STARTED } = ComponentState;
const { STOPPING, UNINSTALLED, DISABLED, UNKNOWN } = ComponentState;

const commandScript = { script: "scripts/one.py", scriptType: ScriptType.PYTHON };
const stack: StackDefinition = create(StackDefinitionSchema, {
  name: "TINY",
  version: "1.0",
  services: [
    {
      name: "DB",
      serviceCheck: commandScript,
      components: [
        { name: "SERVER", category: Category.MASTER, commandScript },
        { name: "CLIENT", category: Category.CLIENT, commandScript },
      ],
    },
    {
      name: "WEB",
      serviceCheck: commandScript,
      components: [{ name: "SITE", category: Category.SLAVE, commandScript }],
    },
  ],
});
const cluster = {
  name: "c1",
  id: 1n,
  services: ["DB", "WEB"],
  components: new Map([
    ["SERVER", ["h1", "h2"]],
    ["CLIENT", ["h1"]],
    ["SITE", ["h1"]],
  ]),
};

const word = (
  current: ComponentState,
  desired: ComponentState = current,
  more: Partial<ComponentWord> = {},
): ComponentWord => ({ current, desired, restartRequired: false, client: false, ...more });

function plan(
  operation: Partial<Operation> & Pick<Operation, "kind">,
  states: Record<string, ComponentWord>,
  more: Partial<PlanInput> = {},
) {
  const planned = planOperation({
    ...{ operation, cluster, stack, states: new Map(Object.entries(states)) },
    ...more,
  });
  const tasks = planned.stages.flatMap(({ roles }) =>
    roles.flatMap(({ id, hosts }) => hosts.map((host) => `${id} ${host}`)),
  );
  return { ...planned, tasks };
}

/** Whether an operation on one component has something to do. */
function touches(operation: Partial<Operation> & Pick<Operation, "kind">, state: ComponentWord) {
  const { tasks, unchanged } = plan(
    { components: ["SERVER"], hosts: ["h1"], ...operation },
    { "SERVER/h1": state },
  );
  assert.equal(tasks.length + unchanged, 1);
  return tasks.length === 1;
}

describe("planOperation() by the states of components", () => {
  it("starts what is not STARTED, or is to be something else by now", () => {
    assert.equal(touches({ kind: "start" }, word(STARTED)), false);
    assert.equal(
      touches({ kind: "start" }, word(STARTED, INSTALLED)),
      true,
      "a STOP is on its way",
    );
    for (const state of [INSTALLED, STARTING, STOPPING, UNKNOWN, INSTALLING]) {
      assert.equal(touches({ kind: "start" }, word(state, STARTED)), true, ComponentState[state]);
    }
    assert.equal(touches({ kind: "start", evenIfDone: true }, word(STARTED)), true);
  });

  it("stops what runs, or may, or is about to", () => {
    for (const state of [INIT, INSTALLING, INSTALL_FAILED, INSTALLED, UNINSTALLED]) {
      assert.equal(touches({ kind: "stop" }, word(state)), false, ComponentState[state]);
    }
    for (const state of [STARTED, STARTING, STOPPING, UNKNOWN]) {
      assert.equal(touches({ kind: "stop" }, word(state)), true, ComponentState[state]);
    }
    assert.equal(
      touches({ kind: "stop" }, word(INSTALLED, STARTED)),
      true,
      "a START is on its way",
    );
    assert.equal(touches({ kind: "stop", evenIfDone: true }, word(INSTALLED)), true);
  });

  it("installs what is not installed", () => {
    for (const state of [INIT, INSTALLING, INSTALL_FAILED, UNINSTALLED]) {
      assert.equal(touches({ kind: "install" }, word(state)), true, ComponentState[state]);
    }
    for (const state of [INSTALLED, STARTED, STARTING, STOPPING, UNKNOWN]) {
      assert.equal(touches({ kind: "install" }, word(state)), false, ComponentState[state]);
    }
    assert.equal(touches({ kind: "install", evenIfDone: true }, word(STARTED)), true);
  });

  it("restarts all, or only what requires it and was not stopped on purpose", () => {
    const required = { restartRequired: true };
    const only = { kind: "restart", restartRequiredOnly: true } as const;
    assert.equal(touches({ kind: "restart" }, word(STARTED)), true);
    assert.equal(touches(only, word(STARTED)), false);
    assert.equal(touches(only, word(STARTED, STARTED, required)), true);
    assert.equal(touches(only, word(INSTALLED, INSTALLED, required)), false, "stopped");
    assert.equal(touches(only, word(INSTALLED, STARTED, required)), true, "its START failed");
    const client = word(INSTALLED, INSTALLED, { ...required, client: true });
    assert.equal(touches(only, client), true);
  });

  it("counts what is left out, and checks only services of which something starts", () => {
    const started = { "SERVER/h1": word(STARTED), "SERVER/h2": word(STARTED) };
    const start = { kind: "start", runServiceChecks: true } as const;
    const some = plan(start, { ...started, "SITE/h1": word(INSTALLED) });
    assert.deepEqual(some.tasks.sort(), ["SITE-START h1", "WEB_SERVICE_CHECK-SERVICE_CHECK h1"]);
    assert.equal(some.unchanged, 2);
    const none = plan(start, { ...started, "SITE/h1": word(STARTED) });
    assert.deepEqual(none.stages, []);
    assert.equal(none.unchanged, 3);
  });

  it("assumes nothing of components that nothing is known of", () => {
    const { tasks, unchanged } = plan({ kind: "start" }, { "SERVER/h1": word(STARTED) });
    assert.deepEqual(tasks.sort(), ["SERVER-START h2", "SITE-START h1"]);
    assert.equal(unchanged, 1);
  });

  it("refuses to start what was never installed, naming it and the way out", () => {
    const states = {
      "SERVER/h1": word(INSTALLED),
      "SERVER/h2": word(INIT),
      "SITE/h1": word(INSTALL_FAILED, INSTALLED),
    };
    for (const kind of ["start", "restart"] as const) {
      assert.throws(
        () => plan({ kind }, states),
        (error) => {
          assert.ok(error instanceof NotInstalledError);
          assert.equal(
            error.message,
            "not installed: SERVER on h2 (INIT), SITE on h1 (INSTALL_FAILED); install them first: " +
              "`howdah install DB WEB`, or leave them out with --components or --hosts",
          );
          return true;
        },
      );
    }
    assert.deepEqual(plan({ kind: "start", hosts: ["h1"], services: ["DB"] }, states).tasks, [
      "SERVER-START h1",
    ]);
    const asked = { "SERVER/h2": word(INIT, INSTALLED) };
    assert.equal(
      plan({ kind: "start", hosts: ["h2"] }, asked).tasks.length,
      1,
      "its INSTALL is on its way",
    );
    const lost = plan({ kind: "start", components: ["SERVER"] }, states, {
      hostStates: new Map([["h2", "LOST"]]),
    });
    assert.deepEqual(lost.tasks, ["SERVER-START h1"], "nothing is to be done on lost hosts");
  });

  it("says nothing of lost hosts on which all is done", () => {
    const states = { "SERVER/h1": word(STARTED), "SERVER/h2": word(STARTED) };
    const { skippedHosts, unchanged } = plan({ kind: "start", components: ["SERVER"] }, states, {
      hostStates: new Map([["h2", "LOST"]]),
    });
    assert.deepEqual(skippedHosts, []);
    assert.equal(unchanged, 2);
  });

  it("leaves out what is DISABLED, and says so, whatever is asked", () => {
    const states = { "SERVER/h1": word(INSTALLED, DISABLED), "SERVER/h2": word(INSTALLED) };
    for (const kind of ["install", "start", "stop", "restart", "configure"] as const) {
      const operation = { kind, components: ["SERVER"], evenIfDone: true };
      const { tasks, skippedHosts } = plan(operation, states, {});
      assert.equal(tasks.length, 1, kind);
      assert.deepEqual(
        skippedHosts.map(({ host, reason }) => `${host}: ${reason}`),
        ["h1: SERVER is disabled"],
      );
    }
    const refuse = { kind: "start", components: ["SERVER"], offlineHosts: "refuse" } as const;
    assert.doesNotThrow(() => plan(refuse, states), HostsOfflineError);
  });
});
