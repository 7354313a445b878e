import { basename, join } from "node:path";
import { listIfPresent, readTextIfPresent } from "./read-file.js";
import { StackError } from "./stack-error.js";
import { child, childFlag, children, childText, parseXml, type XmlElement } from "./xml.js";

/** A property of a configuration type, before what it inherits is merged in. */
export interface RawProperty {
  readonly name: string;
  readonly value: string;
  readonly description: string;
  readonly secret: boolean;
  readonly final: boolean;
  /** What it names (USER, GROUP …), as the file says. */
  readonly types: readonly string[];
  /** The properties that hold the groups of the user that it names. */
  readonly userGroups: readonly { readonly type: string; readonly name: string }[];
  /** It takes an inherited property away. */
  readonly deleted: boolean;
}

/** Configuration types by name, each with its properties by name. */
export type RawConfigurations = ReadonlyMap<string, ReadonlyMap<string, RawProperty>>;

/**
 * Reads every `TYPE.xml` of a configuration folder; no folder means no types. The value of a property of the type VALUE_FROM_PROPERTY_FILE
 * is the file that it names in `propertiesFolder`, where that is.
 */
export async function readConfigurations(
  folder: string,
  propertiesFolder: string,
): Promise<RawConfigurations> {
  const types = new Map<string, ReadonlyMap<string, RawProperty>>();
  for (const entry of (await listIfPresent(folder)) ?? []) {
    if (!entry.name.endsWith(".xml") || entry.isDirectory()) continue;
    const file = join(folder, entry.name);
    const content = await readTextIfPresent(file);
    if (content === undefined) continue;
    types.set(entry.name.slice(0, -4), await parseProperties(content, file, propertiesFolder));
  }
  return types;
}

async function parseProperties(
  content: string,
  file: string,
  propertiesFolder: string,
): Promise<ReadonlyMap<string, RawProperty>> {
  const properties = new Map<string, RawProperty>();
  for (const element of children(parseXml(content, file), "property")) {
    const name = childText(element, "name");
    if (!name) throw new StackError(file, "a property has no name", element.line);
    const types = children(element, "property-type")
      .flatMap((each) => each.text.split(/\s+/))
      .filter((type) => type !== "");
    // Not trimmed: in values such as templates blanks may matter.
    let value = child(element, "value")?.text ?? "";
    if (types.includes("VALUE_FROM_PROPERTY_FILE")) {
      value = (await valueFromFile(element, file, propertiesFolder)) ?? value;
    }
    properties.set(name, {
      name,
      value,
      description: childText(element, "description") ?? "",
      secret: types.includes("PASSWORD"),
      types,
      userGroups: userGroupsOf(element),
      final: childFlag(element, "final"),
      deleted: childFlag(element, "deleted"),
    });
  }
  return properties;
}

async function valueFromFile(
  element: XmlElement,
  file: string,
  folder: string,
): Promise<string | undefined> {
  const name = childText(child(element, "value-attributes"), "property-file-name");
  if (!name) return undefined;
  if (basename(name) !== name || name === "..") {
    const problem = `property-file-name: ${name} must be a file of ${folder}, without a folder`;
    throw new StackError(file, problem, element.line);
  }
  return readTextIfPresent(join(folder, name));
}

function userGroupsOf(element: XmlElement): { type: string; name: string }[] {
  const groups = child(child(element, "value-attributes"), "user-groups");
  return children(groups, "property").map((property) => ({
    type: childText(property, "type") ?? "",
    name: childText(property, "name") ?? "",
  }));
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
