import type { ConfigurationType_Property, StackDefinition } from "@howdah/proto/howdah/v1/stack";
import { canonicalJson } from "../canonical-json.js";
import type { ClusterContent } from "./cluster.js";

/**
 * The users, groups and paths that the cluster's configurations name, by the types that the stack gives its properties: hooks make the users
 * and groups before anything is installed. JSON inside JSON: so scripts expect them.
 */
export function namedByProperties(
  cluster: ClusterContent,
  stack: StackDefinition,
): Record<string, string> {
  const valueOfProperty = (type: string, name: string) =>
    cluster.configurations.get(type)?.properties[name] ?? "";
  const declared = declaredIn(cluster, stack);
  const named = (kind: string) => {
    const values = declared
      .filter(({ property }) => property.types.includes(kind))
      .map(({ type, property }) => valueOfProperty(type, property.name));
    return [...new Set(values)].filter((value) => value !== "").sort();
  };
  const groupsOf = new Map<string, Set<string>>(named("USER").map((user) => [user, new Set()]));
  for (const { type, property } of declared) {
    const groups = groupsOf.get(valueOfProperty(type, property.name));
    if (groups === undefined || !property.types.includes("USER")) continue;
    for (const group of property.userGroups) {
      const value = valueOfProperty(group.type, group.name);
      if (value !== "") groups.add(value);
    }
  }
  const userGroups = [...groupsOf].map(([user, groups]) => [user, [...groups].sort()] as const);
  return {
    user_list: JSON.stringify(named("USER")),
    group_list: JSON.stringify(named("GROUP")),
    user_groups: canonicalJson(Object.fromEntries(userGroups)),
    not_managed_hdfs_path_list: JSON.stringify(named("NOT_MANAGED_HDFS_PATH")),
  };
}

function declaredIn(
  cluster: ClusterContent,
  stack: StackDefinition,
): { type: string; property: ConfigurationType_Property }[] {
  const services = stack.services.filter(({ name }) => cluster.services.includes(name));
  const types = [
    ...stack.configurationTypes,
    ...services.flatMap((service) => service.configurationTypes),
  ];
  return types.flatMap(({ name: type, properties }) =>
    properties.map((property) => ({ type, property })),
  );
}
