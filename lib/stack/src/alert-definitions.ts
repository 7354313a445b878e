import { create } from "@bufbuild/protobuf";
import {
  type AlertDefinition,
  AlertDefinitionSchema,
  AlertScope,
  AlertSourceType,
} from "@howdah/proto/howdah/v1/alert";
import { findLine, isJsonObject, type JsonObject, parseJson } from "./json.js";
import { StackError } from "./stack-error.js";

/** The definitions of one service in an `alerts.json`, and the file. */
export interface RawAlerts {
  readonly file: string;
  readonly definitions: readonly AlertDefinition[];
}

const longestName = 255;
const longestSource = 64 << 10;
const mostMinutes = 525_600;
const mostRepeats = 100;

/**
 * Reads an `alerts.json`: `{ SERVICE: { "service" or COMPONENT: [definition, …], … }, … }`. Gives the definitions of each service that
 * it names, in the file's order. What Ambari does not ask for has Ambari's default: interval 1 minute (also for one below it), scope ANY,
 * enabled, one alert per host.
 */
export function parseAlerts(content: string, file: string): Map<string, AlertDefinition[]> {
  const fail = (problem: string, near?: string): never => {
    const line = near === undefined ? undefined : findLine(content, JSON.stringify(near));
    throw new StackError(file, problem, line);
  };
  const found = new Map<string, AlertDefinition[]>();
  const names = new Set<string>();
  for (const [service, owners] of Object.entries(parseJson(content, file))) {
    if (!isJsonObject(owners)) return fail(`${service} must be an object`, service);
    const definitions: AlertDefinition[] = [];
    for (const [owner, list] of Object.entries(owners)) {
      if (!Array.isArray(list)) {
        return fail(`${owner} of ${service} must have a list of alert definitions`, owner);
      }
      for (const [index, each] of (list as unknown[]).entries()) {
        const at = `alert definition ${index + 1} of ${service}/${owner}`;
        if (!isJsonObject(each)) return fail(`${at} must be an object`, owner);
        const { name } = each;
        if (
          typeof name !== "string" ||
          name === "" ||
          name.length > longestName ||
          /\p{Cc}/u.test(name)
        ) {
          return fail(
            `${at} needs a name of at most ${longestName} characters, none of control`,
            owner,
          );
        }
        if (names.has(name)) return fail(`alert definition ${name} is there twice`, name);
        names.add(name);
        const problem = (text: string) => fail(`alert definition ${name}: ${text}`, name);
        const component = owner === "service" ? "" : owner;
        definitions.push(readDefinition(name, each, { service, component }, problem));
      }
    }
    found.set(service, definitions);
  }
  return found;
}

function readDefinition(
  name: string,
  json: JsonObject,
  { service, component }: { readonly service: string; readonly component: string },
  fail: (problem: string) => never,
): AlertDefinition {
  const text = (key: string, otherwise = ""): string => {
    const value = json[key] ?? otherwise;
    return typeof value === "string" ? value : fail(`${key} ${shown(value)} must be a text`);
  };
  const flag = (key: string, otherwise: boolean): boolean => {
    const value = json[key] ?? otherwise;
    return typeof value === "boolean" ? value : fail(`${key} ${shown(value)} is no true or false`);
  };
  const whole = (key: string, most: number): number => {
    const value = json[key] ?? 1;
    if (typeof value !== "number" || !Number.isInteger(value) || value > most) {
      return fail(`${key} ${shown(value)} must be a whole number of at most ${most}`);
    }
    return Math.max(1, value);
  };
  const { source } = json;
  if (!isJsonObject(source)) {
    return fail(source === undefined ? "has no source" : `source ${shown(source)} is no object`);
  }
  const sourceJson = JSON.stringify(source);
  if (Buffer.byteLength(sourceJson) > longestSource) fail("its source is longer than 64 KiB");
  const repeats = flag("repeat_tolerance_enabled", false)
    ? { repeatTolerance: whole("repeat_tolerance", mostRepeats) }
    : {};
  return create(AlertDefinitionSchema, {
    name,
    label: text("label", name),
    description: text("description"),
    serviceName: service,
    componentName: component,
    scope: named(AlertScope, "scope", text("scope", "ANY"), fail),
    intervalMinutes: whole("interval", mostMinutes),
    enabled: flag("enabled", true),
    ignoreHost: flag("ignore_host", false),
    helpUrl: text("help_url"),
    ...repeats,
    sourceType: named(AlertSourceType, "source.type", source.type, fail),
    sourceJson,
  });
}

/** The value of a protobuf enum by its name; its zero is none. */
function named<T extends number>(
  values: Readonly<Record<string, string | number>>,
  field: string,
  name: unknown,
  fail: (problem: string) => never,
): T {
  const found = typeof name === "string" && Object.hasOwn(values, name) ? values[name] : 0;
  if (typeof found === "number" && found > 0) return found as T;
  const known = Object.keys(values).filter((key) => (values[key] as number) > 0);
  return fail(`${field} ${shown(name)} is none of ${known.join(", ")}`);
}

function shown(value: unknown): string {
  return value === undefined ? "(none)" : JSON.stringify(value).slice(0, 80);
}

/** Throws a {@link StackError} when two files of a stack define alerts of one name: a cluster knows them by their names alone. */
export function checkAlertNames(files: Iterable<RawAlerts | undefined>): void {
  const owners = new Map<string, string>();
  for (const alerts of files) {
    for (const { name } of alerts?.definitions ?? []) {
      const other = owners.get(name);
      if (other !== undefined && alerts !== undefined) {
        throw new StackError(alerts.file, `alert definition ${name} is in ${other} already`);
      }
      owners.set(name, alerts?.file ?? "");
    }
  }
}
