import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { loadStack } from "./load-stack.js";
import { InheritanceCycleError, StackError } from "./stack-error.js";
import { script, serviceMeta, stackMeta, withService } from "./testing/stack-files.js";
import { stackTree } from "./testing/stack-tree.js";

describe("loadStack() of what is wrong", () => {
  it("names the chain of stacks that extend each other", async (t) => {
    const tree = await stackTree(t, {
      "stacks/S/1/metainfo.xml": stackMeta("2"),
      "stacks/S/2/metainfo.xml": stackMeta("3"),
      "stacks/S/3/metainfo.xml": stackMeta("2"),
    });
    await assert.rejects(loadStack(join(tree, "stacks/S/1")), (error) => {
      assert.ok(error instanceof InheritanceCycleError);
      assert.deepEqual(error.chain, ["S/2", "S/3", "S/2"]);
      assert.match(error.message, /S\/2 extends S\/3 extends S\/2/);
      return true;
    });
    const common = await stackTree(t, {
      ...withService("<name>X</name><extends>common-services/X/1</extends>"),
      "common-services/X/1/metainfo.xml": serviceMeta(
        "<name>X</name><extends>common-services/X/1</extends>",
      ),
    });
    await assert.rejects(loadStack(join(common, "stacks/S/1")), InheritanceCycleError);
  });

  const component = (content: string) =>
    withService(`<name>X</name>\n<components><component>${content}</component></components>`);
  const stack = { "stacks/S/1/metainfo.xml": stackMeta() };
  const metainfo = "stacks/S/1/services/X/metainfo.xml";
  const rulesFile = "stacks/S/1/role_command_order.json";
  const faults: [what: string, files: Record<string, string>, message: string | RegExp][] = [
    ["no metainfo of the stack", { "stacks/S/1/x": "" }, /^stacks\/S\/1\/metainfo.xml: is missing/],
    [
      "a parent that is not there",
      { "stacks/S/1/metainfo.xml": stackMeta("0") },
      "stacks/S/0/metainfo.xml: is missing, and stack S/1 extends S/0",
    ],
    [
      "no metainfo of a service",
      { ...stack, "stacks/S/1/services/X/alerts.json": "{}" },
      `${metainfo}: is missing; every service folder needs one`,
    ],
    [
      "malformed XML",
      { ...stack, [metainfo]: "<metainfo>\n<services>\n</metainfo>" },
      new RegExp(`^${metainfo}:3: malformed XML: `),
    ],
    [
      "malformed XML of a configuration type",
      { ...withService("<name>X</name>"), "stacks/S/1/services/X/configuration/a.xml": "<a>\n<" },
      /configuration\/a.xml:2: malformed XML: /,
    ],
    ["a file without services", withService(), /metainfo.xml:1: names no service/],
    [
      "a service without a name",
      withService("<version>1</version>"),
      /:1: a service has no <name>/,
    ],
    [
      "an unknown category",
      component("<name>C</name><category>\nBOSS</category>"),
      `${metainfo}:2: component C: category BOSS is none of MASTER, SLAVE, CLIENT`,
    ],
    [
      "a bad cardinality",
      component("<name>C</name><cardinality>3-1</cardinality>"),
      `${metainfo}:2: component C: cardinality 3-1 must read N, N+, N-M (N not above M) or ALL`,
    ],
    [
      "an auto start that is neither on nor off",
      component("<name>C</name><recovery_enabled>yes</recovery_enabled>"),
      `${metainfo}:2: component C: recovery_enabled yes must be true or false`,
    ],
    [
      "a component twice",
      withService(
        "<name>X</name><components>\n<component><name>C</name></component>\n<component><name>C</name></component></components>",
      ),
      `${metainfo}:3: service X has component C twice`,
    ],
    [
      "a bad script type",
      component(`<name>C</name>${script("c.pp").replace("PYTHON", "PUPPET")}`),
      /component C: scriptType PUPPET is none of PYTHON, SHELL, EXECUTABLE/,
    ],
    [
      "a bad time-out",
      component(`<name>C</name>${script("c.py", "<timeout>5m</timeout>")}`),
      /component C: timeout 5m must be a whole number of seconds/,
    ],
    [
      "a service in two folders",
      {
        ...withService("<name>X</name>"),
        "stacks/S/1/services/Y/metainfo.xml": serviceMeta("<name>X</name>"),
      },
      /services\/Y\/metainfo.xml:1: service X is in .*services\/X\/metainfo.xml already/,
    ],
    [
      "a common service that is not there",
      withService("<name>X</name><extends>common-services/X/7</extends>"),
      /:1: service X extends common-services\/X\/7, which is not below /,
    ],
    [
      "an odd parent of a service",
      withService("<name>X</name><extends>S/0/X</extends>"),
      /:1: service X extends S\/0\/X, which must read common-services\/NAME\/VERSION/,
    ],
    [
      "malformed JSON",
      { ...stack, [rulesFile]: '{\n"general_deps": {\n"A-START": ["B-START"],\n}\n}' },
      `${rulesFile}:4: malformed JSON: expected a key in double quotes instead of }`,
    ],
    [
      "a rule with an unknown verb",
      { ...stack, [rulesFile]: '{"general_deps": {\n"A-BEGIN": ["B-START"]}}' },
      `${rulesFile}:2: A-BEGIN must read ROLE-COMMAND or ROLE-COMMAND-OVERRIDE`,
    ],
    [
      "a rule with an odd blocker",
      { ...stack, [rulesFile]: '{"general_deps": {\n"A-START": ["B"]}}' },
      `${rulesFile}:2: A-START waits for "B", which must read ROLE-COMMAND`,
    ],
    [
      "a rule that is no list",
      { ...stack, [rulesFile]: '{"general_deps": {\n"A-START": "B-START"}}' },
      `${rulesFile}:2: A-START must have a list of ROLE-COMMAND`,
    ],
    [
      "a section that is no object",
      { ...stack, [rulesFile]: '{"general_deps": []}' },
      `${rulesFile}:1: section general_deps must be an object`,
    ],
  ];
  for (const [what, files, message] of faults) {
    it(`names the file and what is wrong: ${what}`, async (t) => {
      const tree = await stackTree(t, files);
      const error = await loadStack(join(tree, "stacks/S/1")).then(
        () => assert.fail("it loaded"),
        (reason: unknown) => reason,
      );
      assert.ok(error instanceof StackError, String(error));
      const got = error.message.replace(`${tree}/`, "");
      assert.ok(!got.includes("\n"));
      if (typeof message === "string") assert.equal(got, message);
      else assert.match(got, message);
    });
  }
});
