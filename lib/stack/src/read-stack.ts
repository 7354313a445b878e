import { basename, dirname, join } from "node:path";
import type { FindParent } from "./common-services.js";
import {
  mergeConfigurations,
  type RawConfigurations,
  readConfigurations,
} from "./configuration.js";
import { readTextIfPresent } from "./read-file.js";
import type { RawService } from "./read-service.js";
import { readServices } from "./read-services.js";
import {
  inheritRules,
  parseRoleCommandOrder,
  type RoleCommandOrder,
} from "./role-command-order.js";
import { InheritanceCycleError, StackError } from "./stack-error.js";
import { ownFolders, type StackFolders } from "./stack-folders.js";
import { childText, parseXml } from "./xml.js";

/** A stack with what it inherits merged in, its services' rules still apart. */
export interface RawStack {
  /** By name. */
  readonly services: ReadonlyMap<string, RawService>;
  readonly configurations: RawConfigurations;
  /** Of the stack and its parents, not of their services. */
  readonly rules: RoleCommandOrder;
  /** Of hooks and the like: each the nearest to it in the chain. */
  readonly folders: StackFolders;
}

/**
 * Reads a stack with its parents.
 * @param folder the folder NAME/VERSION; a parent is NAME/OTHER-VERSION beside it
 */
export async function readStack(
  folder: string,
  findParent: FindParent,
  chain: readonly string[] = [],
): Promise<RawStack> {
  const name = basename(dirname(folder));
  const id = `${name}/${basename(folder)}`;
  const file = join(folder, "metainfo.xml");
  if (chain.includes(id)) {
    throw new InheritanceCycleError(file, [...chain.slice(chain.indexOf(id)), id]);
  }
  const content = await readTextIfPresent(file);
  if (content === undefined) {
    const child = chain.at(-1);
    throw new StackError(
      file,
      child === undefined
        ? "is missing; a stack is a folder NAME/VERSION with a metainfo.xml"
        : `is missing, and stack ${child} extends ${id}`,
    );
  }
  const version = childText(parseXml(content, file), "extends");
  const parent =
    version === undefined
      ? undefined
      : await readStack(join(dirname(folder), version), findParent, [...chain, id]);

  const rulesFile = join(folder, "role_command_order.json");
  const rulesText = await readTextIfPresent(rulesFile);
  const rules: RoleCommandOrder =
    rulesText === undefined ? new Map() : parseRoleCommandOrder(rulesText, rulesFile);
  const configurations = await readConfigurations(
    join(folder, "configuration"),
    join(folder, "properties"),
  );
  return {
    services: await readServices(folder, `stacks/${id}`, parent?.services, findParent),
    configurations: parent
      ? mergeConfigurations(parent.configurations, configurations)
      : configurations,
    rules: parent ? inheritRules(parent.rules, rules) : rules,
    folders: await ownFolders(folder, parent?.folders),
  };
}
