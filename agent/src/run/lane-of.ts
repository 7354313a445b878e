import type { JournalEntry } from "../journal/entry.js";
import { isJsonObject } from "../json.js";
import { keyText } from "../task-key.js";

/** The lane of a command: background commands run beside the others, which wait for each other. */
export function laneOf({ key, command }: JournalEntry): string {
  const spec = isJsonObject(command) ? command.spec : undefined;
  return isJsonObject(spec) && spec.background === true ? `background ${keyText(key)}` : "commands";
}
