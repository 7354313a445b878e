import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { ExecutionCommandSchema } from "@howdah/proto/howdah/v1/command";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import type { JournalEntry } from "../journal/entry.js";
import { type ComponentName, componentOf } from "../status/component-of.js";
import type { GivenCommand } from "./wanted.js";

/** A command of a component that came from a server. */
export interface ComponentCommand extends GivenCommand {
  readonly component: ComponentName;
}

/** What a journal entry's command does to which component; undefined for what is about none, and for what is acknowledged. */
export function componentCommandOf(entry: JournalEntry): ComponentCommand | undefined {
  const component = componentOf(entry);
  if (component === undefined) return undefined;
  try {
    const { roleCommand, requestId, spec } = fromJson(
      ExecutionCommandSchema,
      entry.command as JsonValue,
      { ignoreUnknownFields: true },
    );
    const custom = roleCommand === RoleCommand.CUSTOM_COMMAND ? spec?.customCommand : undefined;
    return { component, requestId, name: custom || (RoleCommand[roleCommand] ?? "") };
  } catch {
    return undefined; // what it is about its own end will say
  }
}
