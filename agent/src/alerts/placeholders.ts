import { isJsonObject, type Json, type JsonObject } from "../json.js";

const longest = 1 << 20;

/**
 * What `{{type/key}}` names: the property of a configuration type; `{{type}}` the type's properties; `{{/a/b}}` what lies there from the
 * root on. Undefined when there is no such thing.
 * @param root as a command's JSON: `configurations` and more
 */
export function lookUp(root: JsonObject, path: string): Json | undefined {
  if (path.startsWith("/")) return walk(root, path.slice(1).split("/"));
  const slash = path.indexOf("/");
  const { configurations } = root;
  if (slash < 0) return walk(configurations, [path]);
  return walk(configurations, [path.slice(0, slash), path.slice(slash + 1)]);
}

function walk(from: Json | undefined, names: readonly string[]): Json | undefined {
  let value = from;
  for (const name of names) {
    if (!isJsonObject(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}

/**
 * A text with its placeholders replaced. Undefined when one of them names nothing, or nothing that can stand in a text; or when
 * `template` is neither text nor number.
 */
export function fillIn(template: Json | undefined, root: JsonObject): string | undefined {
  if (typeof template === "number") return String(template);
  if (typeof template !== "string") return undefined;
  let text = "";
  let from = 0;
  for (const match of template.matchAll(/\{\{([^{}]+)\}\}/g)) {
    const value = lookUp(root, match[1] ?? "");
    if (value === undefined || value === null || typeof value === "object") return undefined;
    text += template.slice(from, match.index) + String(value);
    from = match.index + match[0].length;
    if (text.length > longest) return undefined;
  }
  return text + template.slice(from);
}
