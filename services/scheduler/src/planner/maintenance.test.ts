import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { ScriptType } from "@howdah/proto/howdah/v1/command";
import {
  StackDefinition_Category as Category,
  StackDefinitionSchema,
} from "@howdah/proto/howdah/v1/stack";
import { type InMaintenance, noMaintenance, placeOf } from "./maintenance.js";
import { HostsOfflineError, type Operation } from "./operation.js";
import { planAdHoc } from "./plan-ad-hoc.js";
import { planOperation } from "./plan-operation.js";

const script = { script: "scripts/x.py", scriptType: ScriptType.PYTHON };
const stack = create(StackDefinitionSchema, {
  name: "TINY",
  version: "1.0",
  services: [
    {
      name: "S",
      packageDigest: "s",
      serviceCheck: script,
      components: [
        { name: "A", category: Category.MASTER, commandScript: script },
        { name: "B", category: Category.SLAVE, commandScript: script },
      ],
    },
  ],
});
const cluster = {
  name: "c1",
  id: 1n,
  services: ["S"],
  components: new Map([
    ["A", ["h1", "h2"]],
    ["B", ["h1", "h2"]],
  ]),
};

const host: InMaintenance = { ...noMaintenance, hosts: new Map([["h1", "new disks"]]) };
const service: InMaintenance = { ...noMaintenance, services: new Map([["S", "upgrade"]]) };
const component: InMaintenance = {
  ...noMaintenance,
  components: new Map([[placeOf("A", "h1"), ""]]),
};

/** Where A is started, whether S is checked, and what is said about what is left out. */
function start(operation: Partial<Operation>, maintenance: InMaintenance) {
  const { stages, skippedHosts, skippedChecks } = planOperation({
    operation: { kind: "start", runServiceChecks: true, ...operation },
    ...{ cluster, stack, maintenance },
  });
  const roles = stages.flatMap((stage) => stage.roles);
  const on = roles.find(({ role }) => role === "A")?.hosts.join(" ") ?? "";
  return {
    on,
    checked: roles.some(({ role }) => role === "S_SERVICE_CHECK"),
    skipped: skippedHosts.map((each) => `${each.host}: ${each.reason}: ${each.commands}`),
    skippedChecks: skippedChecks.map(({ role, reason }) => `${role}: ${reason}`),
  };
}

const h1 = { hosts: ["h1", "h2"], namedHosts: new Set(["h1"]) };

describe("what is in maintenance", () => {
  // By what the operation names: where A runs when the host h1, the service S, or A on h1 is in maintenance.
  const table: [string, Partial<Operation>, string, string, string][] = [
    ["nothing", {}, "h2", "", "h2"],
    ["hosts by a pattern", { hosts: ["h1", "h2"] }, "h2", "", "h2"],
    ["the host", h1, "h1 h2", "", "h2"],
    ["the service", { services: ["S"] }, "h2", "h1 h2", "h2"],
    ["the component", { components: ["A"] }, "h2", "h1 h2", "h1 h2"],
    ["the component and the host", { components: ["A"], ...h1 }, "h1 h2", "h1 h2", "h1 h2"],
  ];
  for (const [what, operation, ofHost, ofService, ofComponent] of table) {
    it(`is left out unless it is named: ${what}`, () => {
      assert.deepEqual(
        [host, service, component].map((maintenance) => start(operation, maintenance).on),
        [ofHost, ofService, ofComponent],
      );
    });
  }

  it("is listed with the reason, and what is not done", () => {
    assert.deepEqual(start({}, host).skipped, ["h1: in maintenance: new disks: A START,B START"]);
    const left = start({}, service);
    assert.deepEqual(left.skipped, [
      "h1: S is in maintenance: upgrade: A START,B START",
      "h2: S is in maintenance: upgrade: A START,B START",
    ]);
    assert.deepEqual(start({}, component).skipped, ["h1: A is in maintenance: A START"]);
    const both = { ...component, services: new Map([["S", "upgrade"]]) };
    assert.deepEqual(
      start({}, both).skipped[0],
      "h1: A is in maintenance; S is in maintenance: upgrade: A START,B START",
    );
  });

  it("leaves out the check of a service unless that is named", () => {
    const check = { kind: "check" } as const;
    assert.deepEqual(start(check, service).skippedChecks, [
      "S_SERVICE_CHECK: S is in maintenance: upgrade",
    ]);
    assert.equal(start({ ...check, services: ["S"] }, service).checked, true);
    assert.equal(start(check, component).checked, true);
  });

  it("is waited for where it is a host and the operation says so, and refuses it likewise", () => {
    const wait = { offlineHosts: "wait" } as const;
    assert.deepEqual(start(wait, host).on, "h1 h2");
    assert.deepEqual(start(wait, host).skipped, []);
    assert.deepEqual(start(wait, service).on, "");
    for (const maintenance of [host, service, component]) {
      assert.throws(() => start({ offlineHosts: "refuse" }, maintenance), HostsOfflineError);
    }
  });

  it("takes no command line unless the host is named", () => {
    const hosts = ["h1", "h2"];
    const run = (namedHosts: string[]) => {
      const inMaintenance = new Map([["h1", "new disks"]]);
      const named = new Set(namedHosts);
      return planAdHoc({ argv: ["true"], hosts, inMaintenance, namedHosts: named });
    };
    assert.deepEqual(run([]).stages[0]?.roles[0]?.hosts, ["h2"]);
    assert.deepEqual(run([]).skippedHosts, [
      { host: "h1", reason: "in maintenance: new disks", commands: ["RUN EXECUTE"] },
    ]);
    assert.deepEqual(run(["h1"]).stages[0]?.roles[0]?.hosts, ["h1", "h2"]);
  });
});
