import { readFileSync } from "node:fs";
import { type IniEntry, parseIni } from "./ini-file.js";
import { type Key, knownKeys, sectionNames, type ValuesOf } from "./keys.js";
import { nearest } from "./nearest.js";
import { labelValue, text, ValueError, type ValueKind } from "./values.js";

/** Thrown when the ini file cannot be read or says something that cannot be; one line a problem. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";

  constructor(readonly problems: readonly string[]) {
    super(problems.join("\n"));
  }
}

/** What the ini file says, all values read and in range. */
export interface IniSettings {
  readonly server: ValuesOf<typeof knownKeys.server>;
  readonly agent: ValuesOf<typeof knownKeys.agent>;
  readonly labels: Readonly<Record<string, string>>;
  /** Variables for the scripts. */
  readonly environment: Readonly<Record<string, string>>;
}

const labelName = /^[A-Za-z0-9._/-]{1,63}$/;
const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** By these the agent knows its processes. */
const ownVariables = ["HOWDAH_TASK", "HOWDAH_STEP", "HOWDAH_ALERTS"];

/** Reads an ini file. Throws SettingsError, naming file, line, section and key, and what is wrong. */
export function readIni(file: string): IniSettings {
  const problems: string[] = [];
  const ini = parseIni(contentOf(file));
  const say = (line: number, what: string) => problems.push(`${file}:${line}: ${what}`);

  for (const { line, text } of ini.rubbish) {
    say(line, `${JSON.stringify(text.slice(0, 80))} is neither [SECTION] nor KEY = VALUE`);
  }
  for (const [name, line] of ini.sections) {
    if (isSection(name)) continue;
    say(
      line,
      `[${name}] is not known${meant(name, sectionNames)}; there are ${list(sectionNames)}`,
    );
  }
  const bySection = new Map<string, Map<string, IniEntry>>(sectionNames.map((s) => [s, new Map()]));
  for (const entry of ini.entries) {
    const { section, key, line } = entry;
    if (section === "") say(line, `${key} stands before the first [SECTION]`);
    const entries = bySection.get(section);
    const former = entries?.get(key);
    if (former) say(line, `[${section}] ${key} must be written once; it is in line ${former.line}`);
    else entries?.set(key, entry);
  }

  function readValue<T>(entry: IniEntry, { read }: ValueKind<T>): T | undefined {
    const { section, key, value, line } = entry;
    try {
      if (value === "") throw new ValueError("is empty");
      return read(value);
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      say(line, `[${section}] ${key} ${error.message}`);
      return undefined;
    }
  }

  function known<S extends Readonly<Record<string, Key<unknown>>>>(
    section: keyof typeof knownKeys,
    keys: S,
  ): ValuesOf<S> {
    const values: Record<string, unknown> = {};
    const entries = bySection.get(section) ?? new Map<string, IniEntry>();
    for (const [name, key] of Object.entries(keys)) {
      const entry = entries.get(name);
      if (entry) values[name] = readValue(entry, key);
      else if (key.fallback !== undefined) values[name] = key.read(key.fallback);
      else if (key.required) problems.push(`${file}: [${section}] ${name} is missing; ${hint}`);
    }
    for (const { key, line } of entries.values()) {
      if (!Object.hasOwn(keys, key)) say(line, unknownKey(section, key));
    }
    return values as ValuesOf<S>;
  }

  function named(
    section: "labels" | "environment",
    kind: ValueKind<string>,
    refuse: (name: string) => string | undefined,
  ): Record<string, string> {
    const values: Record<string, string> = {};
    for (const entry of bySection.get(section)?.values() ?? []) {
      const refused = refuse(entry.key);
      if (refused !== undefined) say(entry.line, `[${section}] ${entry.key} ${refused}`);
      else values[entry.key] = readValue(entry, kind) ?? "";
    }
    return values;
  }

  const settings: IniSettings = {
    server: known("server", knownKeys.server),
    agent: known("agent", knownKeys.agent),
    labels: named("labels", labelValue, (name) =>
      labelName.test(name)
        ? undefined
        : "is no label: letters, digits, . _ / and -, at most 63 characters",
    ),
    environment: named("environment", text, (name) => {
      if (ownVariables.includes(name)) return "is the agent's own";
      return variableName.test(name)
        ? undefined
        : "is no variable's name: letters, digits and _, no digit first";
    }),
  };
  if (problems.length > 0) throw new SettingsError(problems);
  return settings;
}

const hint = "set it to where agents reach a dispatcher, HOST:PORT";

function contentOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new SettingsError([`${file} cannot be read (${code}); name the file with --config`]);
  }
}

function isSection(name: string): boolean {
  return (sectionNames as readonly string[]).includes(name);
}

/** Names the key that was meant, in this section or the other. */
function unknownKey(section: keyof typeof knownKeys, key: string): string {
  const other = section === "server" ? "agent" : "server";
  const own = Object.keys(knownKeys[section]);
  const elsewhere = Object.keys(knownKeys[other]);
  const place = `[${section}] ${key} is not known`;
  if (elsewhere.includes(key)) return `${place}; ${key} is a key of [${other}]`;
  return `${place}${meant(key, own)}; there are ${list(own)}`;
}

function meant(word: string, candidates: readonly string[]): string {
  const near = nearest(word, candidates);
  return near === undefined ? "" : `, did you mean ${near}?`;
}

function list(names: readonly string[]): string {
  return names.join(", ");
}
