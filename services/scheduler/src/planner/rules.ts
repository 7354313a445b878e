import type { RoleCommandOrderSection } from "@howdah/proto/howdah/v1/stack";

/**
 * Who waits for whom: a blocked `ROLE-COMMAND` and the set of its blockers, `ROLE-COMMAND` each. A role that is in no
 * operation may stand in it; it does no harm.
 */
export type Rules = ReadonlyMap<string, ReadonlySet<string>>;

/** What decides which optional sections of the rules are active. */
export interface RuleConditions {
  /** The cluster has the service GLUSTERFS. */
  readonly glusterfs: boolean;
  /** HDFS of the cluster has a JOURNALNODE; the number of NAMENODEs does not matter. */
  readonly namenodeHa: boolean;
  /** RESOURCEMANAGER is on more than one host. */
  readonly resourcemanagerHa: boolean;
}

/** Reads the conditions off a cluster. */
export function conditionsOf(cluster: {
  readonly services: readonly string[];
  readonly components: ReadonlyMap<string, readonly string[]>;
}): RuleConditions {
  const hostsOf = (component: string) => cluster.components.get(component)?.length ?? 0;
  return {
    glusterfs: cluster.services.includes("GLUSTERFS"),
    namenodeHa: cluster.services.includes("HDFS") && hostsOf("JOURNALNODE") > 0,
    resourcemanagerHa: hostsOf("RESOURCEMANAGER") > 1,
  };
}

/** The active sections in the order in which they are applied. */
export function activeSections(conditions: RuleConditions): string[] {
  return [
    "general_deps",
    conditions.glusterfs ? "optional_glusterfs" : "optional_no_glusterfs",
    ...(conditions.namenodeHa ? ["namenode_optional_ha"] : []),
    ...(conditions.resourcemanagerHa ? ["resourcemanager_optional_ha"] : []),
  ];
}

const overrideSuffix = "-OVERRIDE";

/**
 * Joins the rules of the active sections: blockers of the same pair add up, and an override first clears what was
 * collected so far, once, then adds all of its own. (Ambari clears before each of them, so that only the last stays.)
 */
export function collectRules(
  sections: readonly Pick<RoleCommandOrderSection, "name" | "rules">[],
  conditions: RuleConditions,
): Rules {
  const collected = new Map<string, Set<string>>();
  for (const name of activeSections(conditions)) {
    for (const section of sections) {
      if (section.name !== name) continue;
      for (const { blocked, blockers } of section.rules) {
        if (blocked.endsWith(overrideSuffix)) {
          collected.set(blocked.slice(0, -overrideSuffix.length), new Set(blockers));
        } else if (blockers.length > 0) {
          const known = collected.get(blocked);
          if (known) for (const blocker of blockers) known.add(blocker);
          else collected.set(blocked, new Set(blockers));
        }
      }
    }
  }
  return collected;
}
