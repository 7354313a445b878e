import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { RoleCommandOrderSectionSchema } from "@howdah/proto/howdah/v1/stack";
import { closeRules } from "./closure.js";
import { addRestartRules, effectiveRules } from "./restart-rules.js";
import { activeSections, collectRules, conditionsOf, type Rules } from "./rules.js";

const plain = { glusterfs: false, namenodeHa: false, resourcemanagerHa: false };

function rulesOf(rules: Record<string, string[]>): Rules {
  return new Map(Object.entries(rules).map(([key, list]) => [key, new Set(list)]));
}

function show(rules: Rules): Record<string, string[]> {
  return Object.fromEntries([...rules].map(([key, set]) => [key, [...set].sort()]));
}

function section(name: string, ...rules: [blocked: string, ...blockers: string[]][]) {
  return create(RoleCommandOrderSectionSchema, {
    name,
    rules: rules.map(([blocked, ...blockers]) => ({ blocked, blockers })),
  });
}

describe("conditionsOf()", () => {
  it("goes by JOURNALNODE, by the number of RESOURCEMANAGERs and by GLUSTERFS", () => {
    const of = (services: string[], components: Record<string, string[]>) =>
      conditionsOf({ services, components: new Map(Object.entries(components)) });
    assert.deepEqual(of(["HDFS"], { NAMENODE: ["a", "b"], RESOURCEMANAGER: ["a"] }), plain);
    assert.deepEqual(of(["HDFS"], { JOURNALNODE: ["a"] }), { ...plain, namenodeHa: true });
    assert.deepEqual(of(["HDFS"], { JOURNALNODE: [] }), plain);
    assert.deepEqual(of(["X"], { JOURNALNODE: ["a"] }), plain);
    assert.deepEqual(of(["YARN"], { RESOURCEMANAGER: ["a", "b"] }), {
      ...plain,
      resourcemanagerHa: true,
    });
    assert.deepEqual(of(["GLUSTERFS"], {}), { ...plain, glusterfs: true });
  });

  it("activates sections in Ambari's order", () => {
    assert.deepEqual(activeSections(plain), ["general_deps", "optional_no_glusterfs"]);
    assert.deepEqual(
      activeSections({ glusterfs: true, namenodeHa: true, resourcemanagerHa: true }),
      ["general_deps", "optional_glusterfs", "namenode_optional_ha", "resourcemanager_optional_ha"],
    );
  });
});

describe("collectRules()", () => {
  it("joins the active sections, general ones first, whatever their order in the file", () => {
    const rules = collectRules(
      [
        section("optional_no_glusterfs", ["A-START", "C-START"]),
        section("namenode_optional_ha", ["A-START", "D-START"]),
        section("host_ordered_upgrade", ["A-START", "E-START"]),
        section("general_deps", ["A-START", "B-START"], ["A-START", "X-START"]),
      ],
      plain,
    );
    assert.deepEqual([...(rules.get("A-START") ?? [])], ["B-START", "X-START", "C-START"]);
  });

  it("clears once for an override and adds all its blockers; what comes later adds again", () => {
    const rules = collectRules(
      [
        section("general_deps", ["A-START", "B-START"], ["A-START-OVERRIDE", "C-START", "D-START"]),
        section("optional_no_glusterfs", ["A-START", "E-START"]),
      ],
      plain,
    );
    assert.deepEqual(show(rules), { "A-START": ["C-START", "D-START", "E-START"] });
  });

  it("makes no rule of an empty list, but of an empty override", () => {
    const rules = collectRules(
      [section("general_deps", ["A-RESTART"], ["B-START", "C-START"], ["B-RESTART-OVERRIDE"])],
      plain,
    );
    assert.deepEqual(show(rules), { "B-START": ["C-START"], "B-RESTART": [] });
    assert.deepEqual(show(addRestartRules(rules))["B-RESTART"], []);
  });
});

describe("closeRules()", () => {
  it("adds what is waited for indirectly, also over roles without rules of their own", () => {
    assert.deepEqual(
      show(closeRules(rulesOf({ "A-S": ["B-S"], "B-S": ["C-S", "D-S"], "D-S": ["E-S"] }))),
      { "A-S": ["B-S", "C-S", "D-S", "E-S"], "B-S": ["C-S", "D-S", "E-S"], "D-S": ["E-S"] },
    );
  });

  it("ends for circles: their members wait for themselves", () => {
    assert.deepEqual(show(closeRules(rulesOf({ "A-S": ["B-S"], "B-S": ["A-S"] }))), {
      "A-S": ["A-S", "B-S"],
      "B-S": ["A-S", "B-S"],
    });
  });

  it("leaves its input alone", () => {
    const rules = rulesOf({ "A-S": ["B-S"], "B-S": ["C-S"] });
    closeRules(rules);
    assert.deepEqual(show(rules), { "A-S": ["B-S"], "B-S": ["C-S"] });
  });
});

describe("effectiveRules()", () => {
  it("copies closed START rules to RESTART, whatever the verb of the blocker", () => {
    const rules = effectiveRules(
      rulesOf({ "A-START": ["B-START", "C-STOP"], "B-START": ["D-START"] }),
    );
    assert.deepEqual(show(rules)["A-RESTART"], ["B-RESTART", "C-RESTART", "D-RESTART"]);
  });

  it("takes a RESTART rule for complete, and does not close restarts again", () => {
    const rules = effectiveRules(
      rulesOf({ "A-START": ["B-START"], "B-START": ["C-START"], "B-RESTART": ["Z-RESTART"] }),
    );
    assert.deepEqual(show(rules)["B-RESTART"], ["Z-RESTART"]);
    assert.deepEqual(show(rules)["A-RESTART"], ["B-RESTART", "C-RESTART"]);
  });
});
