import type { JournalEntry } from "../journal/entry.js";
import { isJsonObject } from "../json.js";

/** A component of a cluster. */
export interface ComponentName {
  readonly clusterId: bigint;
  readonly componentName: string;
}

/** The component that a journal entry's command is about; undefined for an ad-hoc command or a service's check. */
export function componentOf({ command }: JournalEntry): ComponentName | undefined {
  const spec = isJsonObject(command) ? command.spec : undefined;
  if (!isJsonObject(spec)) return undefined;
  const { clusterId, componentName } = spec;
  if (typeof componentName !== "string" || componentName === "") return undefined;
  return { clusterId: BigInt(String(clusterId ?? 0)), componentName };
}

/** Whether a journal entry's command is about the component. */
export function isAbout(entry: JournalEntry, name: ComponentName): boolean {
  const about = componentOf(entry);
  return about?.componentName === name.componentName && about.clusterId === name.clusterId;
}
