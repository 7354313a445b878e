/** One `KEY = VALUE` of an ini file. */
export interface IniEntry {
  readonly section: string;
  readonly key: string;
  readonly value: string;
  /** Counts from 1. */
  readonly line: number;
}

/** What an ini file says. */
export interface IniFile {
  readonly entries: readonly IniEntry[];
  /** Where each section begins first. */
  readonly sections: ReadonlyMap<string, number>;
  /** Lines that are neither a section, an entry nor a comment. */
  readonly rubbish: readonly { readonly line: number; readonly text: string }[];
}

/**
 * Reads an ini file. `;` and `#` begin a comment at the start of a line and behind white space; a value in double quotes is taken as it
 * is. What stands before the first section is in the section "".
 */
export function parseIni(text: string): IniFile {
  const entries: IniEntry[] = [];
  const sections = new Map<string, number>();
  const rubbish: { line: number; text: string }[] = [];
  let section = "";
  for (const [index, raw] of text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .entries()) {
    const line = index + 1;
    const trimmed = raw.trim();
    if (trimmed === "" || /^[;#]/.test(trimmed)) continue;
    const name = /^\[([^\]]*)\](?:\s+[;#].*)?$/.exec(trimmed)?.[1];
    if (name !== undefined) {
      section = name.trim();
      if (!sections.has(section)) sections.set(section, line);
      continue;
    }
    const at = trimmed.indexOf("=");
    const key = trimmed.slice(0, Math.max(at, 0)).trim();
    if (key === "") rubbish.push({ line, text: trimmed });
    else entries.push({ section, key, value: valueText(trimmed.slice(at + 1).trim()), line });
  }
  return { entries, sections, rubbish };
}

function valueText(text: string): string {
  const quoted = /^"([^"]*)"(?:\s+[;#].*)?$/.exec(text)?.[1];
  return quoted ?? text.replace(/(?:^|\s+)[;#].*$/, "");
}
