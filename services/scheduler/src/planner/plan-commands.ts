import { buildGraph, nodeKey, type PlanNode } from "./graph.js";
import { layersOf } from "./layers.js";
import { addRestartRules, effectiveRules } from "./restart-rules.js";
import type { Rules } from "./rules.js";

/** One command on one host. */
export interface HostCommand {
  readonly host: string;
  readonly role: string;
  /** The verb, such as START. */
  readonly roleCommand: string;
  /** The custom command's name, for CUSTOM_COMMAND. */
  readonly customCommand?: string;
}

/** A command and all the hosts of one stage it is for. */
export interface StageCommand {
  readonly role: string;
  readonly roleCommand: string;
  /** Empty unless `roleCommand` is CUSTOM_COMMAND. */
  readonly customCommand: string;
  /** Sorted. */
  readonly hosts: readonly string[];
}

/** Thrown when an operation holds the same role and command for one host twice. */
export class DuplicateCommandError extends Error {
  override readonly name = "DuplicateCommandError";

  constructor(
    readonly host: string,
    readonly node: PlanNode,
  ) {
    super(`host ${host} has ${node.role} ${node.verb} twice; take one of them out`);
  }
}

/** The verb that orders a command: a custom command RESTART is a RESTART, any other stays CUSTOM_COMMAND. */
export function orderingVerb(roleCommand: string, customCommand: string | undefined): string {
  return roleCommand === "CUSTOM_COMMAND" && customCommand === "RESTART" ? "RESTART" : roleCommand;
}

/**
 * Plans single commands into stages. Neither their order nor that of the rules matters; within a stage commands are
 * sorted by role and verb.
 * @param rules rules as collected, before closure
 */
export function planCommands(commands: readonly HostCommand[], rules: Rules): StageCommand[][] {
  const nodes = new Map<string, PlanNode & { hosts: Map<string, string> }>();
  for (const { host, role, roleCommand, customCommand } of commands) {
    const verb = orderingVerb(roleCommand, customCommand);
    const key = nodeKey({ role, verb });
    let node = nodes.get(key);
    if (!node) {
      node = { role, verb, hosts: new Map() };
      nodes.set(key, node);
    }
    if (node.hosts.has(host)) throw new DuplicateCommandError(host, { role, verb });
    node.hosts.set(host, roleCommand === "RESTART" ? "RESTART" : (customCommand ?? ""));
  }
  const sorted = [...nodes].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, node]) => node);
  const layers = layersOf(buildGraph(sorted, effectiveRules(rules)), addRestartRules(rules));
  return layers.map((layer) =>
    layer
      .toSorted((a, b) => a - b)
      .flatMap((index) => {
        const node = sorted[index];
        return node ? byCustomCommand(node) : [];
      }),
  );
}

/** A node's hosts, apart by the custom command they run. */
function byCustomCommand(node: PlanNode & { hosts: Map<string, string> }): StageCommand[] {
  const hostsOf = new Map<string, string[]>();
  for (const [host, customCommand] of node.hosts) {
    const hosts = hostsOf.get(customCommand);
    if (hosts) hosts.push(host);
    else hostsOf.set(customCommand, [host]);
  }
  const roleCommand = node.verb === "RESTART" ? "CUSTOM_COMMAND" : node.verb;
  return [...hostsOf]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([customCommand, hosts]) => ({
      role: node.role,
      roleCommand,
      customCommand,
      hosts: hosts.sort(),
    }));
}
