import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { planAdHoc } from "./plan-ad-hoc.js";

describe("planAdHoc()", () => {
  it("plans one stage with the role RUN", () => {
    const { stages, skippedHosts } = planAdHoc({
      argv: ["uptime"],
      hosts: ["h2", "h1", "h2", "h3"],
      hostStates: new Map([["h3", "LOST"]]),
    });
    const [role] = stages[0]?.roles ?? [];
    assert.deepEqual(
      [role?.role, role?.roleCommand, role?.hosts],
      ["RUN", RoleCommand.EXECUTE, ["h1", "h2"]],
    );
    assert.deepEqual([role?.spec.argv, role?.spec.timeoutMs], [["uptime"], 900_000n]);
    assert.equal(skippedHosts[0]?.host, "h3");
  });

  it("refuses nothing to run and nowhere to run it", () => {
    assert.throws(
      () => planAdHoc({ argv: [], hosts: ["h1"] }),
      /^InvalidOperationError: argv: is empty/,
    );
    assert.throws(
      () => planAdHoc({ argv: ["a"], hosts: [] }),
      /^InvalidOperationError: hosts: is empty/,
    );
  });
});
