import { join } from "node:path";
import { listIfPresent, readTextIfPresent } from "./read-file.js";
import { StackError } from "./stack-error.js";
import { child, childFlag, children, childText, parseXml } from "./xml.js";

/** A property of a configuration type, before what it inherits is merged in. */
export interface RawProperty {
  readonly name: string;
  readonly value: string;
  readonly description: string;
  readonly secret: boolean;
  readonly final: boolean;
  /** It takes an inherited property away. */
  readonly deleted: boolean;
}

/** Configuration types by name, each with its properties by name. */
export type RawConfigurations = ReadonlyMap<string, ReadonlyMap<string, RawProperty>>;

/** Reads every `TYPE.xml` of a configuration folder; no folder means no types. */
export async function readConfigurations(folder: string): Promise<RawConfigurations> {
  const types = new Map<string, ReadonlyMap<string, RawProperty>>();
  for (const entry of (await listIfPresent(folder)) ?? []) {
    if (!entry.name.endsWith(".xml") || entry.isDirectory()) continue;
    const file = join(folder, entry.name);
    const content = await readTextIfPresent(file);
    if (content !== undefined) types.set(entry.name.slice(0, -4), parseProperties(content, file));
  }
  return types;
}

function parseProperties(content: string, file: string): ReadonlyMap<string, RawProperty> {
  const properties = new Map<string, RawProperty>();
  for (const element of children(parseXml(content, file), "property")) {
    const name = childText(element, "name");
    if (!name) throw new StackError(file, "a property has no name", element.line);
    const kinds = children(element, "property-type").flatMap((each) => each.text.split(/\s+/));
    properties.set(name, {
      name,
      // Not trimmed: in values such as templates blanks may matter.
      value: child(element, "value")?.text ?? "",
      description: childText(element, "description") ?? "",
      secret: kinds.includes("PASSWORD"),
      final: childFlag(element, "final"),
      deleted: childFlag(element, "deleted"),
    });
  }
  return properties;
}

/** The parent's types and properties with the child's put over them, property by property. */
export function mergeConfigurations(
  parent: RawConfigurations,
  over: RawConfigurations,
): RawConfigurations {
  const merged = new Map(parent);
  for (const [type, properties] of over) {
    merged.set(type, new Map([...(parent.get(type) ?? []), ...properties]));
  }
  return merged;
}
