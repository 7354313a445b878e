import type { ConfigurationType, StackDefinition } from "@howdah/proto/howdah/v1/stack";
import type { TypeContent } from "./cluster.js";

/** What a secret is shown as. Given as a secret's value it means: keep the value that the cluster has. */
export const mask = "********";

/** The properties with their secrets masked: those that the stack declares, and whatever is called a password. */
export function maskSecrets(content: TypeContent): Record<string, string> {
  return Object.fromEntries(
    Object.entries(content.properties).map(([name, value]) => [
      name,
      value !== "" && isSecret(name, content.secret) ? mask : value,
    ]),
  );
}

function isSecret(name: string, declared: readonly string[]): boolean {
  return declared.includes(name) || /password/i.test(name);
}

/**
 * A cluster's configurations: the defaults of the stack and of its services, and the given values over them. A given type that
 * the stack does not have is a type of the cluster's own. `current` is what masked secrets are read from.
 * `problems` has a sentence for each mistake, which begins with the field.
 */
export function effectiveConfigurations(
  stack: StackDefinition,
  services: ReadonlySet<string>,
  given: Readonly<Record<string, { readonly properties: Readonly<Record<string, string>> }>>,
  current: ReadonlyMap<string, TypeContent>,
): { configurations: Map<string, TypeContent>; problems: string[] } {
  const problems: string[] = [];
  const types = new Map<string, ConfigurationType["properties"]>();
  for (const { name, properties } of [
    ...stack.configurationTypes,
    ...stack.services
      .filter((service) => services.has(service.name))
      .flatMap((service) => service.configurationTypes),
  ]) {
    types.set(name, [...(types.get(name) ?? []), ...properties]);
  }
  for (const type of Object.keys(given)) if (!types.has(type)) types.set(type, []);

  const configurations = new Map<string, TypeContent>();
  for (const [type, defaults] of types) {
    const final = defaults.filter((property) => property.final).map((property) => property.name);
    const secret = defaults.filter((property) => property.secret).map((property) => property.name);
    const values = new Map(defaults.map((property) => [property.name, property.value]));
    for (const [name, value] of Object.entries(given[type]?.properties ?? {})) {
      if (value !== mask || !isSecret(name, secret)) {
        values.set(name, value);
        continue;
      }
      const kept = current.get(type)?.properties;
      if (kept !== undefined && Object.hasOwn(kept, name)) values.set(name, kept[name] ?? "");
      else {
        problems.push(
          `configurations[${type}].properties[${name}]: ${mask} keeps a secret that the cluster has, and it has none; give its value`,
        );
      }
    }
    const properties = Object.fromEntries([...values].sort(([a], [b]) => (a < b ? -1 : 1)));
    configurations.set(type, { properties, final: sorted(final), secret: sorted(secret) });
  }
  return { configurations, problems };
}

function sorted(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
