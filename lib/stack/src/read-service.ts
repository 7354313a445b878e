import { join } from "node:path";
import { parseAlerts, type RawAlerts } from "./alert-definitions.js";
import {
  mergeConfigurations,
  type RawConfigurations,
  readConfigurations,
} from "./configuration.js";
import { listIfPresent, readTextIfPresent } from "./read-file.js";
import { parseRoleCommandOrder, type RoleCommandOrder } from "./role-command-order.js";
import {
  parseServiceMetainfo,
  type RawComponent,
  type ServiceMetainfo,
} from "./service-metainfo.js";
import { StackError } from "./stack-error.js";

/** A folder whose content becomes a package. */
export interface PackageFolder {
  /** Where it is on disk. */
  readonly folder: string;
  /** Its path inside the stacks tree, such as `stacks/BIGTOP/3.2.0/services/HDFS/package`. */
  readonly path: string;
}

/** A service with everything that its folder holds. */
export interface RawService extends ServiceMetainfo {
  readonly configurations: RawConfigurations;
  /** Its own role_command_order.json; undefined when it has none. */
  readonly rules: RoleCommandOrder | undefined;
  /** What its own alerts.json says about it; undefined when it has none. */
  readonly alerts: RawAlerts | undefined;
  /** Undefined when it brings no scripts of its own. */
  readonly package: PackageFolder | undefined;
}

/**
 * Reads the services of one service folder.
 * @param folder where it is on disk
 * @param path its path inside the stacks tree, with forward slashes
 */
export async function readServiceFolder(folder: string, path: string): Promise<RawService[]> {
  const file = join(folder, "metainfo.xml");
  const content = await readTextIfPresent(file);
  if (content === undefined) {
    throw new StackError(file, "is missing; every service folder needs one");
  }
  const rulesFile = join(folder, "role_command_order.json");
  const rulesText = await readTextIfPresent(rulesFile);
  const rules = rulesText === undefined ? undefined : parseRoleCommandOrder(rulesText, rulesFile);
  const alertsFile = join(folder, "alerts.json");
  const alertsText = await readTextIfPresent(alertsFile);
  const alerts = alertsText === undefined ? undefined : parseAlerts(alertsText, alertsFile);
  const scripts = join(folder, "package");
  const hasScripts = (await listIfPresent(scripts)) !== undefined;
  return Promise.all(
    parseServiceMetainfo(content, file).map(async (service) => ({
      ...service,
      configurations: await readConfigurations(
        join(folder, service.configurationFolder),
        join(folder, "properties"),
      ),
      rules,
      // What the file says about a service of another folder is passed over, as Ambari does.
      alerts: alerts && { file: alertsFile, definitions: alerts.get(service.name) ?? [] },
      package: hasScripts ? { folder: scripts, path: `${path}/package` } : undefined,
    })),
  );
}

/** The service with what it does not state itself taken from its parent. */
export function inheritService(parent: RawService, own: RawService): RawService {
  const configurations = new Map(mergeConfigurations(parent.configurations, own.configurations));
  for (const type of own.excludedTypes) configurations.delete(type);
  return {
    ...own,
    displayName: own.displayName ?? parent.displayName,
    version: own.version ?? parent.version,
    comment: own.comment ?? parent.comment,
    components: inheritComponents(parent.components, own.components),
    commandScript: own.commandScript ?? parent.commandScript,
    osPackages: own.osPackages ?? parent.osPackages,
    requiredServices: own.requiredServices?.length ? own.requiredServices : parent.requiredServices,
    configurations,
    configurationDependencies: [
      ...new Set([...parent.configurationDependencies, ...own.configurationDependencies]),
    ],
    rules: own.rules ?? parent.rules,
    alerts: own.alerts ?? parent.alerts,
    package: own.package ?? parent.package,
  };
}

function inheritComponents(
  parents: ReadonlyMap<string, RawComponent>,
  owns: ReadonlyMap<string, RawComponent>,
): ReadonlyMap<string, RawComponent> {
  const merged = new Map(parents);
  for (const [name, own] of owns) {
    const parent = parents.get(name);
    merged.set(name, parent ? inheritComponent(parent, own) : own);
  }
  return merged;
}

function inheritComponent(parent: RawComponent, own: RawComponent): RawComponent {
  return {
    ...own,
    displayName: own.displayName ?? parent.displayName,
    category: own.category ?? parent.category,
    cardinality: own.cardinality ?? parent.cardinality,
    commandScript: own.commandScript ?? parent.commandScript,
    customCommands: new Map([...parent.customCommands, ...own.customCommands]),
    recoveryEnabled: own.recoveryEnabled ?? parent.recoveryEnabled,
  };
}
