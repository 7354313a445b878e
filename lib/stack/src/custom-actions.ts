import { access, constants } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { ScriptType } from "@howdah/proto/howdah/v1/command";
import {
  type StackDefinition_CustomAction as CustomAction,
  StackDefinition_CustomActionSchema as CustomActionSchema,
} from "@howdah/proto/howdah/v1/stack";
import { listIfPresent, readTextIfPresent } from "./read-file.js";
import { StackError } from "./stack-error.js";
import { children, childText, parseXml } from "./xml.js";

/**
 * The custom actions of a folder `custom_actions`: every `*.py`, `*.sh` and executable file in its `scripts/`, save `__init__.py`. How long
 * they may run is what Ambari's `custom_action_definitions/*.xml` beside it say, if they are there.
 */
export async function readCustomActions(folder: string): Promise<CustomAction[]> {
  const timeouts = await readTimeouts(join(folder, "..", "custom_action_definitions"));
  const scripts = join(folder, "scripts");
  const actions = new Map<string, CustomAction>();
  for (const entry of (await listIfPresent(scripts)) ?? []) {
    const file = entry.name;
    if (!entry.isFile() || file === "__init__.py") continue;
    const scriptType = await scriptTypeOf(join(scripts, file));
    if (scriptType === undefined) continue;
    const name = file.replace(/\.(?:py|sh)$/, "");
    const other = actions.get(name)?.script?.script;
    if (other !== undefined) {
      throw new StackError(join(scripts, file), `custom action ${name} is ${other} already`);
    }
    if (!/^[A-Za-z0-9_.-]{1,100}$/.test(name)) {
      const problem = "must be named with 1 to 100 letters, digits, -, _ and .";
      throw new StackError(join(scripts, file), problem);
    }
    const timeoutSeconds = timeouts.get(name) ?? 0;
    const script = { script: `scripts/${file}`, scriptType, timeoutSeconds };
    actions.set(name, create(CustomActionSchema, { name, script }));
  }
  return [...actions.values()];
}

async function scriptTypeOf(path: string): Promise<ScriptType | undefined> {
  if (path.endsWith(".py")) return ScriptType.PYTHON;
  if (path.endsWith(".sh")) return ScriptType.SHELL;
  const runs = await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
  return runs ? ScriptType.EXECUTABLE : undefined;
}

/** How long each action may run, in seconds, by its name. */
async function readTimeouts(folder: string): Promise<Map<string, number>> {
  const timeouts = new Map<string, number>();
  for (const { name } of (await listIfPresent(folder)) ?? []) {
    if (!name.endsWith(".xml")) continue;
    const file = join(folder, name);
    const root = parseXml((await readTextIfPresent(file)) ?? "", file);
    for (const element of children(root, "actionDefinition")) {
      const action = childText(element, "actionName");
      const timeout = childText(element, "defaultTimeout");
      if (!action || !timeout) continue;
      if (!/^\d{1,9}$/.test(timeout)) {
        const problem = `${action}: defaultTimeout ${timeout} must be a whole number of seconds`;
        throw new StackError(file, problem, element.line);
      }
      timeouts.set(action, Number(timeout));
    }
  }
  return timeouts;
}
