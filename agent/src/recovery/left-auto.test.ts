import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { recordFolderOf } from "../run/record-folders.js";
import { until } from "../testing/test-agent.js";
import { type TestRecovery, testRecovery } from "../testing/test-recovery.js";
import { resolveAuto, writeAuto } from "./auto-command.js";
import { autoKey } from "./auto-files.js";

const nn = { clusterId: 7n, componentName: "NN" };

/** Recovery of an agent whose former one was killed when a START of NN was on the disk, and nothing of it had begun. */
async function afterKill(
  t: TestContext,
): Promise<TestRecovery & { readonly files: () => string[] }> {
  const here = testRecovery(t);
  const { context, check, folders } = here;
  const never = new AbortController().signal;
  const spec = await resolveAuto(check("NN"), "START", 5, never, context);
  writeAuto(spec, "START", { number: 5, component: nn }, context);
  const files = () =>
    [folders.data, folders.steps].flatMap((folder) =>
      readdirSync(folder).filter((name) => name.startsWith("auto")),
    );
  assert.equal(files().length, 4);
  return { ...here, files };
}

test("what was written and had not begun is dropped: since then the component may have been stopped", async (t) => {
  const { recovery, check, lines, files, begun } = await afterKill(t);
  const stopped = { desiredState: ComponentState.INSTALLED, desiredRequestId: 7n };
  recovery.command([{ ...check("NN"), ...stopped }, check("JN")], "s");
  await recovery.restore([]);
  assert.ok(!recovery.busy(nn));
  assert.deepEqual(files(), []);
  assert.equal(begun(), 0);
  assert.deepEqual(lines(), []);
});

test("when it is still wanted the next check has it begun", async (t) => {
  const { recovery, down, lines, begun } = await afterKill(t);
  await recovery.restore([]);
  await down(0);
  assert.equal(begun(), 1);
  assert.deepEqual(lines(), ["NN START"]);
});

test("what had begun is followed to its end, whatever is wanted", async (t) => {
  const { recovery, folders, lines, files, logged } = await afterKill(t);
  // Made by a supervisor that did not get further.
  writeFileSync(join(recordFolderOf(folders, autoKey(5)), "1.script.record"), "");
  await recovery.restore([]);
  await until(() => !recovery.busy(nn), "its end");
  const ends = logged.filter(({ msg }) => msg === "a component was not recovered");
  assert.deepEqual(
    ends.map(({ component, status }) => [component, status]),
    [["NN", "INTERRUPTED"]],
  );
  assert.deepEqual(lines(), []);
  assert.equal(files().length, 3, "its record is gone, its output stays");
});
