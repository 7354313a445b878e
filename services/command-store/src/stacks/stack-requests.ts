import type { ConfigurationType, StackDefinition } from "@howdah/proto/howdah/v1/stack";
import { definitionProblems } from "../alerts/definition-checks.js";
import { parseCardinality } from "../fleet/cardinality.js";
import { invalidArgument } from "../invalid.js";

const maxDigests = 1_000;

/** Throws INVALID_ARGUMENT unless `digest` is SHA-256 in lower-case hex. */
export function checkDigest(field: string, digest: string): void {
  if (!isDigest(digest)) {
    throw invalidArgument(
      `${field}: ${JSON.stringify(digest.slice(0, 80))} must be SHA-256 in hex, 64 digits, lower case`,
    );
  }
}

function isDigest(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

/** Throws INVALID_ARGUMENT for more than 1,000, or for one that is no digest. */
export function checkDigests(digests: readonly string[]): void {
  if (digests.length > maxDigests) {
    throw invalidArgument(
      `digests: ${digests.length} digests, at most ${maxDigests}; ask in several calls`,
    );
  }
  for (const [index, digest] of digests.entries()) checkDigest(`digests[${index}]`, digest);
}

/** Throws INVALID_ARGUMENT for a stack without a name. */
export function checkStackName(name: string): void {
  if (name === "") throw invalidArgument("name: is empty; give the name of a stack");
}

/** Throws INVALID_ARGUMENT that lists whatever is wrong with a definition. */
export function checkStack(stack: StackDefinition | undefined): StackDefinition {
  if (stack === undefined) throw invalidArgument("stack: is missing");
  const problems = [...stackProblems(stack)];
  if (problems.length > 0) {
    const more = problems.length > 20 ? `; and ${problems.length - 20} more problems` : "";
    throw invalidArgument(`${problems.slice(0, 20).join("; ")}${more}`);
  }
  return stack;
}

function* stackProblems(stack: StackDefinition): Iterable<string> {
  if (!isVersion(stack.name)) {
    yield `stack.name: ${JSON.stringify(stack.name)} must be 1 to 100 letters, digits, -, _ and .`;
  }
  if (!isVersion(stack.version)) {
    yield `stack.version: ${JSON.stringify(stack.version)} must be 1 to 100 letters, digits, -, _ and .`;
  }
  const digests = {
    hooks_digest: stack.hooksDigest,
    custom_actions_digest: stack.customActionsDigest,
    host_scripts_digest: stack.hostScriptsDigest,
  };
  for (const [field, digest] of Object.entries(digests)) {
    if (digest !== "" && !isDigest(digest)) {
      yield `stack.${field}: must be SHA-256 in hex, 64 digits, lower case`;
    }
  }
  for (const name of repeated(stack.customActions)) {
    yield `stack.custom_actions[${name}]: is there twice`;
  }
  for (const { name, script } of stack.customActions) {
    const field = `stack.custom_actions[${name}]`;
    if (!isVersion(name)) yield `${field}: must be 1 to 100 letters, digits, -, _ and .`;
    if (script === undefined) yield `${field}.script: is missing`;
    yield* scriptProblems(`${field}.script`, script);
  }
  yield* typeProblems("stack", stack.configurationTypes);
  for (const name of repeated(stack.services)) yield `stack.services[${name}]: is there twice`;
  // A role is named by its component alone, in rules of order and in tasks.
  for (const name of repeated(stack.services.flatMap((service) => service.components))) {
    yield `stack.services: component ${name} is there twice; a stack may have it once`;
  }
  for (const service of stack.services) yield* serviceProblems(service);
  yield* alertProblems(stack);
}

function* alertProblems({ alertDefinitions: own, services }: StackDefinition): Iterable<string> {
  const owners = [
    { field: "stack", name: "AMBARI", definitions: own },
    ...services.map(({ name, alertDefinitions: definitions }) => ({
      ...{ field: `stack.services[${name}]`, name, definitions },
    })),
  ];
  for (const name of repeated(owners.flatMap(({ definitions }) => definitions))) {
    yield `stack: alert definition ${name} is there twice; a cluster may have it once`;
  }
  for (const { field, name, definitions } of owners) {
    for (const each of definitions) {
      const at = `${field}.alert_definitions[${each.name}]`;
      if (each.serviceName !== name) {
        yield `${at}.service_name: ${JSON.stringify(each.serviceName)} must be ${name}`;
      }
      yield* definitionProblems(at, each);
    }
  }
}

function* serviceProblems(service: StackDefinition["services"][number]): Iterable<string> {
  const field = `stack.services[${service.name}]`;
  if (!isName(service.name))
    yield `${field}: a service's name must be 1 to 100 letters, digits and _`;
  if (service.packageDigest !== "" && !isDigest(service.packageDigest)) {
    yield `${field}.package_digest: must be SHA-256 in hex, 64 digits, lower case`;
  }
  // Agents make this folder: it must stay inside theirs.
  if (service.packageFolder !== "" && !isInside(service.packageFolder)) {
    yield `${field}.package_folder: ${service.packageFolder} must be a relative path without ..`;
  }
  yield* scriptProblems(`${field}.service_check`, service.serviceCheck);
  for (const component of service.components) {
    const at = `${field}.components[${component.name}]`;
    if (!isName(component.name))
      yield `${at}: a component's name must be 1 to 100 letters, digits and _`;
    if (parseCardinality(component.cardinality) === undefined) {
      yield `${at}.cardinality: ${component.cardinality} must be N, N+, N-M or ALL`;
    }
    yield* scriptProblems(`${at}.command_script`, component.commandScript);
    for (const name of repeated(component.customCommands)) {
      yield `${at}.custom_commands[${name}]: is there twice`;
    }
    for (const { name, commandScript } of component.customCommands) {
      if (!isName(name))
        yield `${at}.custom_commands[${name}]: must be 1 to 100 letters, digits and _`;
      yield* scriptProblems(`${at}.custom_commands[${name}].command_script`, commandScript);
    }
  }
  yield* typeProblems(field, service.configurationTypes);
}

function* scriptProblems(
  field: string,
  script: { readonly script: string; readonly timeoutSeconds: number } | undefined,
): Iterable<string> {
  if (script === undefined) return;
  if (!isInside(script.script)) {
    yield `${field}.script: ${JSON.stringify(script.script)} must be a path inside the service's package, without ..`;
  }
  if (script.timeoutSeconds < 0) {
    yield `${field}.timeout_seconds: ${script.timeoutSeconds} must not be negative; 0 means the default`;
  }
}

function* typeProblems(owner: string, types: readonly ConfigurationType[]): Iterable<string> {
  for (const name of repeated(types)) yield `${owner}.configuration_types[${name}]: is there twice`;
  for (const type of types) {
    const field = `${owner}.configuration_types[${type.name}]`;
    if (!/^[A-Za-z0-9_.-]{1,255}$/.test(type.name)) {
      yield `${field}: a type's name must be 1 to 255 letters, digits, -, _ and .`;
    }
    for (const name of repeated(type.properties))
      yield `${field}.properties[${name}]: is there twice`;
    if (type.properties.some((property) => property.name === "")) {
      yield `${field}.properties: a property has no name`;
    }
  }
}

function isVersion(text: string): boolean {
  return /^[A-Za-z0-9_.-]{1,100}$/.test(text);
}

function isName(text: string): boolean {
  return /^[A-Za-z0-9_]{1,100}$/.test(text);
}

function isInside(path: string): boolean {
  return (
    path !== "" && !path.startsWith("/") && !path.includes("\0") && !path.split("/").includes("..")
  );
}

function repeated(named: readonly { readonly name: string }[]): string[] {
  const seen = new Set<string>();
  return named.map(({ name }) => name).filter((name) => seen.size === seen.add(name).size);
}
