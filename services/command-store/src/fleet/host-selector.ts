import type { HostSelector } from "@howdah/proto/howdah/v1/operation";

/** Thrown when a host pattern cannot be read; the message names the pattern and says what would do. */
export class HostPatternError extends Error {
  override readonly name = "HostPatternError";
}

/** A selector, ready to use. */
export interface HostFilter {
  /** The selected names when all patterns are plain names, so that a database can look them up; else undefined. */
  readonly exactNames: readonly string[] | undefined;
  /** Whether `exactNames`, or that there are none, says all: each host that has one of the names is selected. */
  readonly named: boolean;
  /** Whether a host of this name (in lower case) and these labels is selected. */
  matches(hostName: string, labels: Readonly<Record<string, string>>): boolean;
}

/** What a pattern is made of. */
type Segment =
  | { kind: "text"; text: string }
  | { kind: "any" }
  | { kind: "one" }
  | { kind: "choice"; items: readonly ChoiceItem[] };

/** One item inside `[]`: a text, or a range of numbers of a fixed width (0: as they are written without zeros). */
type ChoiceItem = { text: string } | { from: number; to: number; width: number };

const maxPatternLength = 1_000;

/** Reads a selector; none, or an empty one, selects all hosts. Throws {@link HostPatternError}. */
export function compileHostSelector(selector: HostSelector | undefined): HostFilter {
  const patterns = (selector?.names ?? []).flatMap(splitPatterns).map(parsePattern);
  const labels = Object.entries(selector?.labels ?? {});
  const exactNames = patterns.length > 0 ? plainNames(patterns) : undefined;
  const exactSet = exactNames && new Set(exactNames);
  return {
    exactNames,
    named: labels.length === 0 && (patterns.length === 0 || exactNames !== undefined),
    matches: (hostName, hostLabels) =>
      (exactSet?.has(hostName) ??
        (patterns.length === 0 || patterns.some((pattern) => fits(pattern, hostName)))) &&
      labels.every(
        ([label, value]) =>
          Object.hasOwn(hostLabels, label) && (value === "" || hostLabels[label] === value),
      ),
  };
}

/** Splits at the commas that are not inside `[]`. */
function splitPatterns(names: string): string[] {
  if (names.length > maxPatternLength) {
    throw new HostPatternError(
      `host pattern of ${names.length} characters: the limit is ${maxPatternLength}; give it in several names`,
    );
  }
  const pieces = names.split(/,(?![^[\]]*\])/).map((piece) => piece.trim().toLowerCase());
  // An empty name must not read as "no name", which would select every host.
  if (pieces.includes("")) {
    throw new HostPatternError(
      `host pattern ${JSON.stringify(names)} has an empty name; take the comma out, or say * for all hosts`,
    );
  }
  return pieces;
}

function parsePattern(pattern: string): Segment[] {
  const segments: Segment[] = [];
  for (const [part] of pattern.matchAll(/\[[^[\]]*\]|[*?]|[^*?[\]]+|[[\]]/g)) {
    if (part === "*") segments.push({ kind: "any" });
    else if (part === "?") segments.push({ kind: "one" });
    else if (part === "[" || part === "]") {
      throw new HostPatternError(`host pattern ${pattern} has a ${part} without its partner`);
    } else if (part.startsWith("[")) segments.push(parseChoice(part.slice(1, -1), pattern));
    else if (/[\s{}\\]/.test(part)) {
      throw new HostPatternError(
        `host pattern ${JSON.stringify(pattern)} has a character that no host name has; use *, ?, [01-20] or [a,b]`,
      );
    } else segments.push({ kind: "text", text: part });
  }
  return segments;
}

function parseChoice(inside: string, pattern: string): Segment {
  const items = inside.split(",").map((item): ChoiceItem => {
    const range = /^(\d{1,9})-(\d{1,9})$/.exec(item);
    if (range?.[1] !== undefined && range[2] !== undefined) return parseRange(range[1], range[2]);
    // A lone [abc] would be one of three characters to a shell and a word to others: it is refused.
    if (/^[\w.]+$/.test(item) && (inside.includes(",") || /^\d+$/.test(item))) {
      return { text: item };
    }
    throw new HostPatternError(
      `host pattern ${pattern}: [${inside}] is neither a range such as [01-20] nor a list such as [a,b]`,
    );
  });
  return { kind: "choice", items };

  function parseRange(first: string, last: string): ChoiceItem {
    const [from, to] = [Number(first), Number(last)];
    const padded = first.length > 1 && first.startsWith("0");
    if (from > to) {
      throw new HostPatternError(`host pattern ${pattern}: ${first} is above ${last}; swap them`);
    }
    if (last.length < first.length || (last.startsWith("0") && last.length !== first.length)) {
      throw new HostPatternError(
        `host pattern ${pattern}: write ${first} and ${last} with the same number of digits`,
      );
    }
    return { from, to, width: padded ? first.length : 0 };
  }
}

function plainNames(patterns: readonly Segment[][]): string[] | undefined {
  const names: string[] = [];
  for (const [first, ...rest] of patterns) {
    if (first?.kind !== "text" || rest.length > 0) return undefined;
    names.push(first.text);
  }
  return names;
}

/**
 * Follows all readings at once, as sets of positions, so that the time is bounded whatever the pattern: a regular
 * expression with many `*` could be made to take hours.
 */
function fits(pattern: readonly Segment[], name: string): boolean {
  let positions = new Set([0]);
  for (const segment of pattern) {
    // From the lowest position, `*` reaches whatever it reaches from the others.
    const from = segment.kind === "any" ? [Math.min(...positions)] : positions;
    const next = new Set<number>();
    for (const position of from) {
      for (const end of ends(segment, name, position)) next.add(end);
    }
    if (next.size === 0) return false;
    positions = next;
  }
  return positions.has(name.length);
}

function* ends(segment: Segment, name: string, position: number): Iterable<number> {
  if (segment.kind === "text") {
    if (name.startsWith(segment.text, position)) yield position + segment.text.length;
  } else if (segment.kind === "any") {
    for (let end = position; end <= name.length; end += 1) yield end;
  } else if (segment.kind === "one") {
    if (position < name.length) yield position + 1;
  } else {
    for (const item of segment.items) {
      if ("text" in item) {
        if (name.startsWith(item.text, position)) yield position + item.text.length;
      } else yield* rangeEnds(item, name, position);
    }
  }
}

function* rangeEnds(
  range: { from: number; to: number; width: number },
  name: string,
  position: number,
): Iterable<number> {
  const shortest = range.width || String(range.from).length;
  const longest = Math.max(shortest, String(range.to).length);
  for (let length = shortest; length <= longest; length += 1) {
    const digits = name.slice(position, position + length);
    if (digits.length < length || !/^\d+$/.test(digits)) return;
    const written = range.width === 0 || length > range.width ? !/^0\d/.test(digits) : true;
    if (written && Number(digits) >= range.from && Number(digits) <= range.to)
      yield position + length;
  }
}
