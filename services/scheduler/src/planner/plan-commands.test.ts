import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DuplicateCommandError, type HostCommand, planCommands } from "./plan-commands.js";

function command(text: string): HostCommand {
  const [host = "", role = "", roleCommand = "", customCommand] = text.split(" ");
  return { host, role, roleCommand, ...(customCommand !== undefined && { customCommand }) };
}

describe("planCommands()", () => {
  const rules = new Map([["A-START", new Set(["B-START"])]]);

  it("gives the same plan for any order of its commands", () => {
    const commands = ["h2 A START", "h1 A START", "h1 B START", "h1 C INSTALL"].map(command);
    const expected = [
      [{ role: "C", roleCommand: "INSTALL", customCommand: "", hosts: ["h1"] }],
      [{ role: "B", roleCommand: "START", customCommand: "", hosts: ["h1"] }],
      [{ role: "A", roleCommand: "START", customCommand: "", hosts: ["h1", "h2"] }],
    ];
    assert.deepEqual(planCommands(commands, rules), expected);
    assert.deepEqual(planCommands(commands.toReversed(), rules), expected);
  });

  it("orders the custom command RESTART as RESTART and sends it as it came", () => {
    assert.deepEqual(
      planCommands(
        ["h1 A CUSTOM_COMMAND RESTART", "h1 B CUSTOM_COMMAND RESTART"].map(command),
        rules,
      ).map((stage) =>
        stage.map(({ role, roleCommand, customCommand }) => [role, roleCommand, customCommand]),
      ),
      [[["B", "CUSTOM_COMMAND", "RESTART"]], [["A", "CUSTOM_COMMAND", "RESTART"]]],
    );
  });

  it("keeps different custom commands of one role apart", () => {
    assert.deepEqual(
      planCommands(
        ["h1 A CUSTOM_COMMAND TIDY", "h2 A CUSTOM_COMMAND FLUSH"].map(command),
        rules,
      ).map((stage) => stage.map(({ customCommand, hosts }) => [customCommand, ...hosts])),
      [
        [
          ["FLUSH", "h2"],
          ["TIDY", "h1"],
        ],
      ],
    );
  });

  it("refuses a command twice on one host, and takes two verbs of one role", () => {
    assert.throws(
      () => planCommands(["h1 A START", "h1 A START"].map(command), rules),
      (error) => {
        assert.ok(error instanceof DuplicateCommandError);
        assert.equal(error.message, "host h1 has A START twice; take one of them out");
        return true;
      },
    );
    assert.equal(planCommands(["h1 A START", "h1 A INSTALL"].map(command), rules).length, 2);
  });
});
