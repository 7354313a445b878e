import { ScriptType } from "@howdah/proto/howdah/v1/command";
import { StackDefinition_Category as Category } from "@howdah/proto/howdah/v1/stack";
import { parseOsPackages, type RawOsPackages } from "./os-packages.js";
import { StackError } from "./stack-error.js";
import { child, childFlag, children, childText, parseXml, type XmlElement } from "./xml.js";

/** A script and how it is run, as metainfo.xml states it. */
export interface RawScript {
  readonly script: string;
  readonly scriptType: ScriptType;
  readonly timeoutSeconds: number;
}

/** A custom command of a component. */
export interface RawCustomCommand {
  readonly name: string;
  readonly commandScript: RawScript | undefined;
  readonly background: boolean;
  readonly hidden: boolean;
}

/** A component before what it inherits is merged in; what is not stated is undefined. */
export interface RawComponent {
  readonly name: string;
  readonly displayName: string | undefined;
  readonly category: Category | undefined;
  readonly cardinality: string | undefined;
  readonly commandScript: RawScript | undefined;
  readonly customCommands: ReadonlyMap<string, RawCustomCommand>;
  /** Whether agents start it by themselves (auto start). */
  readonly recoveryEnabled: boolean | undefined;
  /** It takes an inherited component away. */
  readonly deleted: boolean;
}

/** A service as its metainfo.xml states it, before what it inherits is merged in. */
export interface ServiceMetainfo {
  readonly name: string;
  /** The metainfo.xml and the line of the service in it. */
  readonly file: string;
  readonly line: number;
  /** `common-services/NAME/VERSION`. */
  readonly extends: string | undefined;
  readonly displayName: string | undefined;
  readonly version: string | undefined;
  readonly comment: string | undefined;
  readonly components: ReadonlyMap<string, RawComponent>;
  readonly commandScript: RawScript | undefined;
  /** Undefined: as inherited. */
  readonly osPackages: readonly RawOsPackages[] | undefined;
  /** Undefined or empty: as inherited. */
  readonly requiredServices: readonly string[] | undefined;
  /** The name of the folder with the configuration types; `configuration` when not stated. */
  readonly configurationFolder: string;
  /** The configuration types, its own or others', whose change requires a restart. */
  readonly configurationDependencies: readonly string[];
  /** Inherited configuration types that it does without. */
  readonly excludedTypes: readonly string[];
  /** It takes an inherited service away. */
  readonly deleted: boolean;
}

/** Reads the services of a service's metainfo.xml: one file may describe several, such as YARN and MAPREDUCE2. */
export function parseServiceMetainfo(content: string, file: string): ServiceMetainfo[] {
  const root = parseXml(content, file);
  const services = children(child(root, "services"), "service");
  if (services.length === 0) {
    throw new StackError(file, "names no service; it needs <services><service><name>", root.line);
  }
  return services.map((element) => parseService(element, file));
}

function parseService(element: XmlElement, file: string): ServiceMetainfo {
  const name = childText(element, "name");
  if (!name) throw new StackError(file, "a service has no <name>", element.line);
  const components = new Map<string, RawComponent>();
  for (const each of children(child(element, "components"), "component")) {
    const component = parseComponent(each, name, file);
    if (components.has(component.name)) {
      throw new StackError(
        file,
        `service ${name} has component ${component.name} twice`,
        each.line,
      );
    }
    components.set(component.name, component);
  }
  const required = child(element, "requiredServices");
  return {
    name,
    file,
    line: element.line,
    extends: childText(element, "extends"),
    displayName: childText(element, "displayName"),
    version: childText(element, "version"),
    comment: childText(element, "comment")?.replace(/\s+/g, " "),
    components,
    commandScript: parseScript(child(element, "commandScript"), `service ${name}`, file),
    osPackages: parseOsPackages(element),
    requiredServices: required && texts(required, "service"),
    configurationFolder: childText(element, "configuration-dir") ?? "configuration",
    configurationDependencies: texts(child(element, "configuration-dependencies"), "config-type"),
    excludedTypes: texts(child(element, "excluded-config-types"), "config-type"),
    deleted: childFlag(element, "deleted"),
  };
}

function texts(element: XmlElement | undefined, name: string): string[] {
  return children(element, name).flatMap((each) => each.text.trim() || []);
}

const categories: Readonly<Record<string, Category>> = {
  MASTER: Category.MASTER,
  SLAVE: Category.SLAVE,
  CLIENT: Category.CLIENT,
};

function parseComponent(element: XmlElement, service: string, file: string): RawComponent {
  const name = childText(element, "name");
  if (!name) throw new StackError(file, `a component of ${service} has no <name>`, element.line);
  const category = childText(element, "category");
  if (category !== undefined && !Object.hasOwn(categories, category)) {
    const line = child(element, "category")?.line;
    const known = Object.keys(categories).join(", ");
    throw new StackError(file, `component ${name}: category ${category} is none of ${known}`, line);
  }
  const customCommands = new Map<string, RawCustomCommand>();
  for (const each of children(child(element, "customCommands"), "customCommand")) {
    const command = parseCustomCommand(each, name, file);
    customCommands.set(command.name, command);
  }
  return {
    name,
    displayName: childText(element, "displayName"),
    category: category === undefined ? undefined : categories[category],
    cardinality: parseCardinality(child(element, "cardinality"), name, file),
    commandScript: parseScript(child(element, "commandScript"), `component ${name}`, file),
    customCommands,
    recoveryEnabled: parseRecovery(child(element, "recovery_enabled"), name, file),
    deleted: childFlag(element, "deleted"),
  };
}

function parseRecovery(
  element: XmlElement | undefined,
  component: string,
  file: string,
): boolean | undefined {
  const text = element?.text.trim().toLowerCase();
  if (!text) return undefined;
  if (text === "true" || text === "false") return text === "true";
  throw new StackError(
    file,
    `component ${component}: recovery_enabled ${text} must be true or false`,
    element?.line,
  );
}

function parseCardinality(
  element: XmlElement | undefined,
  component: string,
  file: string,
): string | undefined {
  const text = element?.text.trim();
  if (!text) return undefined;
  const range = /^(\d+)(?:-(\d+)|\+)?$/.exec(text);
  if (text === "ALL" || (range && Number(range[1]) <= Number(range[2] ?? range[1]))) return text;
  throw new StackError(
    file,
    `component ${component}: cardinality ${text} must read N, N+, N-M (N not above M) or ALL`,
    element?.line,
  );
}

function parseCustomCommand(
  element: XmlElement,
  component: string,
  file: string,
): RawCustomCommand {
  const name = childText(element, "name");
  if (!name) {
    throw new StackError(file, `a custom command of ${component} has no <name>`, element.line);
  }
  const owner = `custom command ${name} of ${component}`;
  return {
    name,
    commandScript: parseScript(child(element, "commandScript"), owner, file),
    background: childFlag(element, "background"),
    hidden: childFlag(element, "hidden"),
  };
}

const scriptTypes: Readonly<Record<string, ScriptType>> = {
  PYTHON: ScriptType.PYTHON,
  SHELL: ScriptType.SHELL,
  EXECUTABLE: ScriptType.EXECUTABLE,
};

function parseScript(
  element: XmlElement | undefined,
  owner: string,
  file: string,
): RawScript | undefined {
  if (!element) return undefined;
  const fail = (problem: string): never => {
    throw new StackError(file, `${owner}: ${problem}`, element.line);
  };
  const script = childText(element, "script");
  if (!script) return fail("its commandScript has no <script>");
  const type = childText(element, "scriptType") ?? "PYTHON";
  const upper = type.toUpperCase(); // Ambari's agent takes any case
  const scriptType = Object.hasOwn(scriptTypes, upper) ? scriptTypes[upper] : undefined;
  if (scriptType === undefined) {
    return fail(`scriptType ${type} is none of ${Object.keys(scriptTypes).join(", ")}`);
  }
  const timeout = childText(element, "timeout") ?? "0";
  const timeoutSeconds = Number(timeout);
  if (!/^\d+$/.test(timeout) || timeoutSeconds > 2 ** 31 - 1) {
    return fail(`timeout ${timeout} must be a whole number of seconds`);
  }
  return { script, scriptType, timeoutSeconds };
}
