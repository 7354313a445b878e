import type { Json } from "../json.js";
import { AlertDefinitionError } from "./definition-error.js";

/** What an alert's text has at most. */
export const longestText = 4_000;

const longestTemplate = 10_000;

/**
 * Writes an alert's text: Python's `str.format` as far as alert definitions use it. `{0}`, `{0:d}`, `{0:.2f}`, `{0:.1%}`, `{0:s}`, and
 * `{{` and `}}` for braces. As in Ambari `{0:d}` of what is no whole number is written as it is. The text is cut to `longestText`
 * characters and has no NUL.
 * @throws AlertDefinitionError for any other format, an argument that there is not, one of another kind
 */
export function formatText(template: string, args: readonly Json[]): string {
  if (template.length > longestTemplate) {
    throw new AlertDefinitionError(
      `its text has ${template.length} characters; at most ${longestTemplate}`,
    );
  }
  let text = "";
  let from = 0;
  for (const match of template.matchAll(/\{\{|\}\}|\{([^{}]*)\}|[{}]/g)) {
    const [found, field] = match;
    text += template.slice(from, match.index);
    from = match.index + found.length;
    if (field !== undefined) text += formatField(field, args);
    else if (found.length === 2) text += found[0];
    else throw new AlertDefinitionError(`a single ${found} in its text`);
    if (text.length > longestText) break;
  }
  return cleanText(text + template.slice(from));
}

/** As long as it may be at most, without what a text cannot hold. */
export function cleanText(text: string): string {
  const clean = text.slice(0, longestText + 100).replaceAll("\0", "");
  if (clean.length <= longestText) return clean.toWellFormed();
  return `${clean.slice(0, longestText - 1)}…`.toWellFormed();
}

function formatField(field: string, args: readonly Json[]): string {
  const [, digits, format = ""] = /^([0-9]{1,3})(?::(.*))?$/s.exec(field) ?? [];
  if (digits === undefined) throw unknownFormat(field);
  const index = Number(digits);
  const value = args[index];
  if (value === undefined) {
    throw new AlertDefinitionError(
      `its text asks for {${index}}, and there are ${args.length} values, from {0}`,
    );
  }
  const [known, places, type] = /^(?:[.]([0-9]{1,2}))?([dfs%]?)$/.exec(format) ?? [];
  if (known === undefined) throw unknownFormat(field);
  if (type === "f" || type === "%") return formatNumber(field, value, type, Number(places ?? 6));
  if (type === "s" && places !== undefined) return plain(value).slice(0, Number(places));
  if (places !== undefined) throw unknownFormat(field);
  return plain(value);
}

function formatNumber(field: string, value: Json, type: "f" | "%", places: number): string {
  if (typeof value !== "number") {
    const what = plain(value).slice(0, 50);
    throw new AlertDefinitionError(
      `its text has {${field}}, and ${JSON.stringify(what)} is no number`,
    );
  }
  return type === "%" ? `${(value * 100).toFixed(places)}%` : value.toFixed(places);
}

/** A value as Python writes it. Long ones are cut: a text may name each often. */
function plain(value: Json): string {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return text.slice(0, longestText + 1);
}

function unknownFormat(field: string): AlertDefinitionError {
  const what = JSON.stringify(`{${field.slice(0, 50)}}`);
  return new AlertDefinitionError(
    `its text has ${what}, which is none of {0}, {0:d}, {0:.2f}, {0:.1%}, {0:s}`,
  );
}
