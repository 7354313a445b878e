import { type AlertDefinition, AlertScope, AlertSourceType } from "@howdah/proto/howdah/v1/alert";

/** The longest interval of an alert, in minutes. */
export const mostMinutes = 525_600;
/** The greatest tolerance of an alert. */
export const mostRepeats = 100;
/** The longest name of an alert, in characters. */
const longestName = 255;
const longestSource = 64 << 10;

type JsonObject = { readonly [key: string]: unknown };

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reads the `source` of a definition. Gives the object, or what is wrong with the text in words that follow the name of the field. */
export function readSource(
  json: string,
  type: AlertSourceType,
): { readonly source: JsonObject } | { readonly problem: string } {
  const size = Buffer.byteLength(json);
  if (size > longestSource) return { problem: `is longer than 64 KiB (${size} bytes)` };
  let source: unknown;
  try {
    source = JSON.parse(json);
  } catch {
    return { problem: "is no JSON" };
  }
  if (!isObject(source)) return { problem: "is no JSON object" };
  const wanted = AlertSourceType[type] ?? "";
  if (source.type !== wanted) {
    const shown = source.type === undefined ? "none" : JSON.stringify(source.type).slice(0, 80);
    return { problem: `has type ${shown}; it must be ${JSON.stringify(wanted)}` };
  }
  return { source };
}

/** What is wrong with the content of a `source`; undefined when it can be run. */
export function sourceProblem(source: JsonObject, type: AlertSourceType): string | undefined {
  const needed = {
    [AlertSourceType.SCRIPT]: "path",
    [AlertSourceType.AGGREGATE]: "alert_name",
    [AlertSourceType.SERVER]: "class",
  } as Readonly<Partial<Record<AlertSourceType, string>>>;
  const name = needed[type];
  if (name !== undefined && (typeof source[name] !== "string" || source[name] === "")) {
    return `needs "${name}", a text`;
  }
  if (type === AlertSourceType.SCRIPT && `${source.path}`.split("/").includes("..")) {
    return `has path "${source.path}", which may have no ..`;
  }
  return reportingProblem(source.reporting) ?? parametersProblem(source.parameters);
}

function reportingProblem(reporting: unknown): string | undefined {
  if (reporting === undefined) return undefined;
  if (!isObject(reporting)) return 'has "reporting" that is no object';
  for (const state of ["ok", "warning", "critical"]) {
    const part = reporting[state];
    if (part === undefined) continue;
    if (!isObject(part)) return `has "reporting.${state}" that is no object`;
    if (part.text !== undefined && typeof part.text !== "string") {
      return `has "reporting.${state}.text" that is no text`;
    }
    for (const key of ["value", "count"]) {
      const value = part[key];
      if (value !== undefined && (typeof value !== "number" || !Number.isFinite(value))) {
        return `has "reporting.${state}.${key}" that is no number`;
      }
    }
  }
  return undefined;
}

function parametersProblem(parameters: unknown): string | undefined {
  if (parameters === undefined) return undefined;
  if (!Array.isArray(parameters)) return 'has "parameters" that are no list';
  for (const [index, each] of (parameters as unknown[]).entries()) {
    if (!isObject(each) || typeof each.name !== "string" || each.name === "") {
      return `has a parameter without a name, "parameters[${index}]"`;
    }
  }
  return undefined;
}

/** What is wrong with a definition of a stack, each a sentence that begins with the field. */
export function* definitionProblems(field: string, definition: AlertDefinition): Iterable<string> {
  const { name, intervalMinutes, repeatTolerance, sourceType, sourceJson, componentName } =
    definition;
  if (name === "" || name.length > longestName || /\p{Cc}/u.test(name)) {
    yield `${field}.name: ${JSON.stringify(name.slice(0, 80))} must be 1 to ${longestName} characters, none of control`;
  }
  if (componentName.length > 100) yield `${field}.component_name: must be 100 characters at most`;
  if (intervalMinutes < 1 || intervalMinutes > mostMinutes) {
    yield `${field}.interval_minutes: ${intervalMinutes} must be from 1 to ${mostMinutes}`;
  }
  if (repeatTolerance !== undefined && (repeatTolerance < 1 || repeatTolerance > mostRepeats)) {
    yield `${field}.repeat_tolerance: ${repeatTolerance} must be from 1 to ${mostRepeats}`;
  }
  if (AlertScope[definition.scope] === undefined)
    yield `${field}.scope: ${definition.scope} is none`;
  if (sourceType === AlertSourceType.UNSPECIFIED || AlertSourceType[sourceType] === undefined) {
    yield `${field}.source_type: ${sourceType} is none`;
    return;
  }
  const read = readSource(sourceJson, sourceType);
  if ("problem" in read) yield `${field}.source_json: ${read.problem}`;
}
