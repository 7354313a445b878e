const decimals = new Intl.NumberFormat("en-US", { maximumFractionDigits: 3 });

/** Thrown when a pattern of Java's MessageFormat cannot be read. */
export class PatternError extends Error {
  override readonly name = "PatternError";
}

/**
 * Fills a pattern of Java's MessageFormat: `{0}` and `{0,number,…}` with the values, `''` for an apostrophe, and what stands between
 * apostrophes as it is. Numbers look as Java's do in English: 1,234.5. Throws {@link PatternError}.
 */
export function formatMessage(pattern: string, values: readonly (number | string)[]): string {
  let text = "";
  let quoted = false;
  for (let at = 0; at < pattern.length; at += 1) {
    const character = pattern[at] ?? "";
    if (character === "'") {
      if (pattern[at + 1] === "'") {
        text += "'";
        at += 1;
      } else quoted = !quoted;
    } else if (character === "{" && !quoted) {
      const end = pattern.indexOf("}", at);
      if (end < 0) throw new PatternError(`${pattern.slice(at, at + 20)} has no }`);
      text += formatValue(pattern.slice(at + 1, end), values);
      at = end;
    } else text += character;
  }
  return text;
}

function formatValue(element: string, values: readonly (number | string)[]): string {
  const [index = "", type = "", ...style] = element.split(",").map((part) => part.trim());
  if (!/^\d+$/.test(index)) throw new PatternError(`{${element}} names no value by its number`);
  const value = values[Number(index)];
  // As Java does for what it was not given.
  if (value === undefined) return `{${index}}`;
  if (typeof value === "string") return value;
  if (type === "") return decimals.format(value);
  if (type !== "number") throw new PatternError(`{${element}} is of a type other than number`);
  return formatNumber(value, style.join(","));
}

function formatNumber(value: number, style: string): string {
  if (style === "") return decimals.format(value);
  if (style === "integer") return Math.round(value).toLocaleString("en-US");
  if (style === "percent") return `${Math.round(value * 100).toLocaleString("en-US")}%`;
  const [, before = "", digits = "", after = ""] =
    /^([^#0.,]*)[#0,]*(?:\.([#0]*))?([^#0]*)$/.exec(style) ?? [];
  const factor = after.includes("%") ? 100 : 1;
  const shown = (value * factor).toLocaleString("en-US", {
    useGrouping: style.includes(","),
    minimumFractionDigits: digits.replaceAll("#", "").length,
    maximumFractionDigits: digits.length,
  });
  return `${before}${shown}${after}`;
}
