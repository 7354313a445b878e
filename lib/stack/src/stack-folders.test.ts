import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { ScriptType } from "@howdah/proto/howdah/v1/command";
import { loadStack } from "./load-stack.js";
import { StackError } from "./stack-error.js";
import { stackTree } from "./testing/stack-tree.js";

const meta = "<metainfo/>";

test("hooks that all stacks share are taken when the stack has none", async (t) => {
  const tree = await stackTree(t, {
    "stacks/S/1/metainfo.xml": meta,
    "stack-hooks/before-ANY/scripts/hook.py": "pass",
  });
  const { definition, packages } = await loadStack(join(tree, "stacks/S/1"));
  assert.deepEqual(
    packages.map(({ digest, folder }) => [digest, folder]),
    [[definition.hooksDigest, join(tree, "stack-hooks")]],
  );
});

test("custom actions and host scripts: the stack's own, its parents', those that all stacks share", async (t) => {
  const files = {
    "stacks/S/1/metainfo.xml": meta,
    "stacks/S/2/metainfo.xml": "<metainfo><extends>1</extends></metainfo>",
    "stacks/S/1/host_scripts/alert_disk.py": "pass",
    "stacks/T/1/metainfo.xml": meta,
    "custom_actions/scripts/check_host.py": "pass",
    "custom_actions/scripts/tidy.sh": ":",
    "custom_actions/scripts/__init__.py": "",
    "custom_actions/scripts/notes.txt": "",
    "custom_action_definitions/system_action_definitions.xml":
      "<actionDefinitions><actionDefinition><actionName>check_host</actionName><defaultTimeout>60</defaultTimeout></actionDefinition></actionDefinitions>",
    "host_scripts/alert_disk.py": "shared",
  };
  const tree = await stackTree(t, files);
  const { definition, packages } = await loadStack(join(tree, "stacks/S/2"));
  assert.deepEqual(
    new Map(packages.map(({ digest, folder }) => [digest, folder])),
    new Map([
      [definition.customActionsDigest, join(tree, "custom_actions")],
      [definition.hostScriptsDigest, join(tree, "stacks/S/1/host_scripts")],
    ]),
  );
  assert.deepEqual(
    definition.customActions.map(({ name, script }) => [
      name,
      script?.script,
      script && ScriptType[script.scriptType],
      script?.timeoutSeconds,
    ]),
    [
      ["check_host", "scripts/check_host.py", "PYTHON", 60],
      ["tidy", "scripts/tidy.sh", "SHELL", 0],
    ],
  );
  const other = await loadStack(join(tree, "stacks/T/1"));
  assert.notEqual(other.definition.hostScriptsDigest, definition.hostScriptsDigest);
});

test("two custom actions of one name are refused", async (t) => {
  const tree = await stackTree(t, {
    "stacks/S/1/metainfo.xml": meta,
    "custom_actions/scripts/tidy.py": "",
    "custom_actions/scripts/tidy.sh": "",
  });
  await assert.rejects(loadStack(join(tree, "stacks/S/1")), (error: Error) => {
    assert.ok(error instanceof StackError);
    assert.match(error.message, /tidy.sh: custom action tidy is scripts\/tidy.py already/);
    return true;
  });
});

test("the type of a script may be written in any case, as Ambari's agent takes it", async (t) => {
  const script =
    "<commandScript><script>a.sh</script><scriptType>shell</scriptType></commandScript>";
  const tree = await stackTree(t, {
    "stacks/S/1/metainfo.xml": meta,
    "stacks/S/1/services/X/metainfo.xml": `<metainfo><services><service><name>X</name>${script}</service></services></metainfo>`,
  });
  const { definition } = await loadStack(join(tree, "stacks/S/1"));
  assert.equal(definition.services[0]?.serviceCheck?.scriptType, ScriptType.SHELL);
});
