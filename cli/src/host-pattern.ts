const most = 10_000;

/**
 * The names that a pattern such as `db-[01-20]` or `web-[a,b]` stands for, in order. Throws an Error for a pattern that
 * stands for no fixed names: `*` and `?` depend on which hosts there are.
 */
export function expandHostPattern(pattern: string): string[] {
  if (/[*?]/.test(pattern)) {
    throw new Error(`"${pattern}" must name hosts one by one or as a range such as db-[01-20]`);
  }
  let names = [""];
  for (const part of pattern.match(/\[[^[\]]*\]|[^[\]]+|[[\]]/g) ?? []) {
    if (part === "[" || part === "]")
      throw new Error(`"${pattern}" has a ${part} without its other`);
    const choices = part.startsWith("[") ? choicesOf(part.slice(1, -1), pattern) : [part];
    if (names.length * choices.length > most) {
      throw new Error(`"${pattern}" stands for more than ${most} hosts`);
    }
    names = names.flatMap((name) => choices.map((choice) => name + choice));
  }
  if (names.includes("")) throw new Error("a host has an empty name");
  return names;
}

function choicesOf(inside: string, pattern: string): string[] {
  return inside.split(",").flatMap((item) => {
    const [, first, last] = /^\s*(\d+)-(\d+)\s*$/.exec(item) ?? [];
    if (first === undefined || last === undefined) {
      const text = item.trim();
      if (/^[\w.-]+$/.test(text)) return [text];
      throw new Error(`"${pattern}": "${item}" is no range such as 01-20`);
    }
    const count = Number(last) - Number(first) + 1;
    if (count < 1 || count > most) {
      throw new Error(`"${pattern}": the range ${item} must go up, by at most ${most}`);
    }
    // db-[08-12] has names of equal width, db-[8-12] has not.
    const width = first.startsWith("0") ? first.length : 0;
    return Array.from({ length: count }, (_, n) => String(Number(first) + n).padStart(width, "0"));
  });
}
