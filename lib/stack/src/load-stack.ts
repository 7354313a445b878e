import { basename, dirname, join, resolve } from "node:path";
import { create } from "@bufbuild/protobuf";
import {
  type ConfigurationType,
  ConfigurationTypeSchema,
  type StackDefinition,
  StackDefinition_Category,
  type StackDefinition_Component,
  StackDefinition_ComponentSchema,
  type StackDefinition_StackService,
  StackDefinition_StackServiceSchema,
  StackDefinitionSchema,
} from "@howdah/proto/howdah/v1/stack";
import { checkAlertNames, parseAlerts, type RawAlerts } from "./alert-definitions.js";
import { openCommonServices } from "./common-services.js";
import type { RawConfigurations } from "./configuration.js";
import { readCustomActions } from "./custom-actions.js";
import { openExtensions, withExtensions } from "./extensions.js";
import { type Package, packFolder } from "./pack-folder.js";
import { readTextIfPresent } from "./read-file.js";
import type { RawService } from "./read-service.js";
import { readStack } from "./read-stack.js";
import { addServiceRules, orderedSections } from "./role-command-order.js";
import type { RawComponent } from "./service-metainfo.js";
import { withSharedFolders } from "./stack-folders.js";

/** How a stack is loaded. */
export interface LoadStackOptions {
  /** Where the common services lie; the default is `common-services` beside the folder of stacks. */
  commonServices?: string;
  /** Extensions whose services are added, `NAME/VERSION` below `extensions` beside the folder of stacks, besides those that link themselves. */
  extensions?: readonly string[];
  /** False leaves scripts and hooks unread: the definition has no digests then, enough for planning. Default true. */
  packages?: boolean;
}

/** A package that the definition names. */
export interface PackageSource extends Package {
  /** The folder on disk that it was made from. */
  readonly folder: string;
}

/** A stack as loaded. */
export interface LoadedStack {
  readonly definition: StackDefinition;
  /** What the definition names by digest, each digest once. */
  readonly packages: readonly PackageSource[];
}

/**
 * Reads a stack in Ambari's format, with its parents, its services' parents and its scripts.
 * Everything that is wrong with it is a StackError; a circle of `extends` an InheritanceCycleError.
 * @param folder the folder STACKS/NAME/VERSION
 */
export async function loadStack(
  folder: string,
  options: LoadStackOptions = {},
): Promise<LoadedStack> {
  const absolute = resolve(folder);
  const stacks = dirname(dirname(absolute));
  const common = options.commonServices ?? join(dirname(stacks), "common-services");
  const extensions = openExtensions(
    join(dirname(stacks), "extensions"),
    openCommonServices(common),
  );
  const stack = await readStack(absolute, extensions.findParent);
  const id = { name: basename(dirname(absolute)), version: basename(absolute) };
  const linked = await extensions.linked(id, options.extensions ?? []);
  const services = withExtensions(stack.services, linked).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  );
  const rules = services.reduce(
    (order, { rules }) => (rules ? addServiceRules(order, rules) : order),
    stack.rules,
  );

  const packages = new Map<string, PackageSource>();
  const pack = async (source: string | undefined): Promise<string> => {
    if (source === undefined || options.packages === false) return "";
    const made = await packFolder(source);
    packages.set(made.digest, { ...made, folder: source });
    return made.digest;
  };
  const { hooks, customActions, hostScripts } = await withSharedFolders(stacks, stack.folders);

  const hostAlerts = await readHostAlerts(stacks);
  checkAlertNames([hostAlerts, ...services.map((service) => service.alerts)]);

  const definition = create(StackDefinitionSchema, {
    ...id,
    roleCommandOrder: orderedSections(rules),
    configurationTypes: toConfigurationTypes(stack.configurations),
    hooksDigest: await pack(hooks),
    alertDefinitions: [...(hostAlerts?.definitions ?? [])],
    customActionsDigest: await pack(customActions),
    hostScriptsDigest: await pack(hostScripts),
    customActions: customActions === undefined ? [] : await readCustomActions(customActions),
  });
  for (const service of services) {
    definition.services.push(toService(service, await pack(service.package?.folder)));
  }
  return { definition, packages: [...packages.values()] };
}

/**
 * The alerts that belong to no service of a stack: `alerts.json` beside the folder of stacks, where Ambari has it, else inside. Only those
 * of the pseudo service AMBARI count.
 */
async function readHostAlerts(stacks: string): Promise<RawAlerts | undefined> {
  for (const folder of [dirname(stacks), stacks]) {
    const file = join(folder, "alerts.json");
    const text = await readTextIfPresent(file);
    if (text === undefined) continue;
    return { file, definitions: parseAlerts(text, file).get("AMBARI") ?? [] };
  }
  return undefined;
}

function toService(service: RawService, packageDigest: string): StackDefinition_StackService {
  return create(StackDefinition_StackServiceSchema, {
    name: service.name,
    displayName: service.displayName ?? service.name,
    version: service.version ?? "",
    comment: service.comment ?? "",
    components: [...service.components.values()].filter((each) => !each.deleted).map(toComponent),
    ...(service.commandScript && { serviceCheck: service.commandScript }),
    packageDigest,
    packageFolder: service.package?.path ?? "",
    configurationTypes: toConfigurationTypes(service.configurations),
    requiredServices: [...(service.requiredServices ?? [])],
    osPackages: (service.osPackages ?? []).map(({ osFamilies, packages }) => ({
      osFamilies: [...osFamilies],
      packages: [...packages],
    })),
    configurationDependencies: service.configurationDependencies
      .filter((type) => !service.configurations.has(type) && !service.excludedTypes.includes(type))
      .sort(),
    alertDefinitions: [...(service.alerts?.definitions ?? [])],
  });
}

function toComponent(component: RawComponent): StackDefinition_Component {
  return create(StackDefinition_ComponentSchema, {
    name: component.name,
    displayName: component.displayName ?? component.name,
    category: component.category ?? StackDefinition_Category.UNSPECIFIED,
    cardinality: component.cardinality ?? "0+",
    ...(component.commandScript && { commandScript: component.commandScript }),
    customCommands: [...component.customCommands.values()].map((command) => ({
      name: command.name,
      ...(command.commandScript && { commandScript: command.commandScript }),
      background: command.background,
      hidden: command.hidden,
    })),
    recoveryEnabled: component.recoveryEnabled ?? false,
  });
}

function toConfigurationTypes(types: RawConfigurations): ConfigurationType[] {
  return [...types].map(([name, properties]) =>
    create(ConfigurationTypeSchema, {
      name,
      properties: [...properties.values()]
        .filter((property) => !property.deleted)
        .map(({ name, value, description, secret, final, types, userGroups }) => ({
          name,
          value,
          description,
          secret,
          final,
          types: [...types],
          userGroups: [...userGroups],
        })),
    }),
  );
}
