import { findLine, isJsonObject, parseJson } from "./json.js";
import { StackError } from "./stack-error.js";

/** The sections of a `role_command_order.json`: section, then blocked role-command, then its blockers. */
export type RoleCommandOrder = ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>;

/** The sections that mean anything, in the order in which they are applied. Others are ignored, as Ambari does. */
const knownSections = [
  "general_deps",
  "optional_glusterfs",
  "optional_no_glusterfs",
  "namenode_optional_ha",
  "resourcemanager_optional_ha",
  "host_ordered_upgrade",
];

const verbs =
  "INSTALL|UNINSTALL|START|RESTART|STOP|EXECUTE|ABORT|UPGRADE|SERVICE_CHECK|CUSTOM_COMMAND|ACTIONEXECUTE|CONFIGURE";
const blockedPattern = new RegExp(`^[^-\\s]+-(?:${verbs})(?:-OVERRIDE)?$`);
const blockerPattern = new RegExp(`^[^-\\s]+-(?:${verbs})$`);

/** Reads one `role_command_order.json`. Of a key that stands twice the last one counts; `_comment` is passed over. */
export function parseRoleCommandOrder(content: string, file: string): RoleCommandOrder {
  const json = parseJson(content, file);
  const fail = (problem: string, near: string): never => {
    throw new StackError(file, problem, findLine(content, JSON.stringify(near)));
  };
  const order = new Map<string, Map<string, readonly string[]>>();
  for (const name of knownSections) {
    const section = json[name];
    if (section === undefined) continue;
    if (!isJsonObject(section)) return fail(`section ${name} must be an object`, name);
    const rules = new Map<string, readonly string[]>();
    for (const [blocked, blockers] of Object.entries(section)) {
      if (blocked === "_comment") continue;
      if (!blockedPattern.test(blocked)) {
        return fail(`${blocked} must read ROLE-COMMAND or ROLE-COMMAND-OVERRIDE`, blocked);
      }
      if (!Array.isArray(blockers)) {
        return fail(`${blocked} must have a list of ROLE-COMMAND`, blocked);
      }
      const names: string[] = [];
      for (const blocker of blockers as unknown[]) {
        if (typeof blocker !== "string" || !blockerPattern.test(blocker)) {
          return fail(
            `${blocked} waits for ${JSON.stringify(blocker)}, which must read ROLE-COMMAND`,
            blocked,
          );
        }
        names.push(blocker);
      }
      rules.set(blocked, names);
    }
    order.set(name, rules);
  }
  return order;
}

type Combine = (below: readonly string[], above: readonly string[]) => readonly string[];

function combine(
  below: RoleCommandOrder,
  above: RoleCommandOrder,
  both: Combine,
): RoleCommandOrder {
  const merged = new Map<string, ReadonlyMap<string, readonly string[]>>();
  for (const name of knownSections) {
    const lower = below.get(name);
    const upper = above.get(name);
    if (!lower && !upper) continue;
    const rules = new Map(lower);
    for (const [blocked, blockers] of upper ?? []) {
      const inherited = rules.get(blocked);
      rules.set(blocked, inherited ? both(inherited, blockers) : blockers);
    }
    merged.set(name, rules);
  }
  return merged;
}

/** A child stack's file over its parent's: per section and key the child's list replaces the parent's. */
export function inheritRules(parent: RoleCommandOrder, over: RoleCommandOrder): RoleCommandOrder {
  return combine(parent, over, (_, own) => own);
}

/** A service's file on top of the stack's: per section and key the lists are joined. */
export function addServiceRules(
  stack: RoleCommandOrder,
  service: RoleCommandOrder,
): RoleCommandOrder {
  return combine(stack, service, (below, above) => [...new Set([...below, ...above])]);
}

/**
 * The sections as ordered lists of rules. Inside a section the keys of a JSON object have no order of their own, so the
 * plain rules come first and then the overrides: an override always replaces what its own section, too, has collected.
 */
export function orderedSections(
  order: RoleCommandOrder,
): { name: string; rules: { blocked: string; blockers: string[] }[] }[] {
  return [...order].map(([name, section]) => {
    const rules = [...section].map(([blocked, blockers]) => ({ blocked, blockers: [...blockers] }));
    const isOverride = (rule: { blocked: string }) => rule.blocked.endsWith("-OVERRIDE");
    return {
      name,
      rules: [...rules.filter((rule) => !isOverride(rule)), ...rules.filter(isOverride)],
    };
  });
}
