import assert from "node:assert/strict";
import { existsSync, realpathSync } from "node:fs";
import type { CompatFleet, ScriptRun } from "./compat-fleet.js";

/** The component that is on the first host only. */
export const master = "COMPAT_MASTER";

/** The hook, or the script's name, of each run. */
export function stepsOf(runs: readonly ScriptRun[]): string[] {
  return runs.map(({ script }) => {
    const hook = /([^/]+)\/scripts\/hook\.py$/.exec(script)?.[1];
    return hook ?? script.replace(/^.*\//, "");
  });
}

/** One of the objects of a command file. */
export function partOf({ command }: ScriptRun, key: string): Record<string, unknown> {
  const part = command[key];
  assert.ok(typeof part === "object" && part !== null, `${key} is ${JSON.stringify(part)}`);
  return part as Record<string, unknown>;
}

/** The one run of a script, besides hooks, for a task. */
export function runOf(fleet: CompatFleet, host: string, task: bigint | undefined): ScriptRun {
  const runs = fleet.runs(host, task).filter(({ script }) => !script.endsWith("hook.py"));
  assert.equal(runs.length, 1, `${runs.length} runs of task ${task} on ${host}`);
  return runs[0] as ScriptRun;
}

/** A path without links; undefined when nothing is there. */
export function realpathOf(path: string): string | undefined {
  return existsSync(path) ? realpathSync(path) : undefined;
}
