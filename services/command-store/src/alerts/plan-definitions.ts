import { clone, create, equals, toBinary } from "@bufbuild/protobuf";
import {
  type AlertDefinition,
  AlertDefinitionSchema,
  AlertSourceType,
  ClusterAlertsSchema,
} from "@howdah/proto/howdah/v1/alert";
import {
  StackDefinition_Category as Category,
  type StackDefinition,
} from "@howdah/proto/howdah/v1/stack";
import type { ClusterContent } from "../fleet/cluster.js";
import type { StoredDefinition } from "../store/alert-definitions.js";

/** The fields of a definition that operators may change, as bits of a set. */
export const editable = { enabled: 1, interval: 2, tolerance: 4, source: 8 } as const;

/** What has to be done about a cluster's definitions. */
export interface DefinitionsPlan {
  readonly add: readonly StoredDefinition[];
  readonly change: readonly StoredDefinition[];
  /** What is watched by other hosts than before, or in another way: what was found before counts no more. */
  readonly startAfresh: readonly StoredDefinition[];
  readonly remove: readonly StoredDefinition[];
}

/** Whether agents find it out; the server does the others. */
export function isRunByAgents({ sourceType }: AlertDefinition): boolean {
  return sourceType !== AlertSourceType.AGGREGATE && sourceType !== AlertSourceType.SERVER;
}

/** The definitions that a cluster with these services is to have, as its stack has them. */
export function definitionsOf(
  stack: StackDefinition,
  services: readonly string[],
): AlertDefinition[] {
  return [
    ...stack.alertDefinitions,
    ...stack.services
      .filter(({ name }) => services.includes(name))
      .flatMap((service) => service.alertDefinitions),
  ];
}

/** The way from the stored definitions to those of the stack. What operators have edited stays as they left it. */
export function planDefinitions(
  stored: readonly StoredDefinition[],
  wanted: readonly AlertDefinition[],
  makeUuid: () => string,
): DefinitionsPlan {
  const left = new Map(stored.map((each) => [each.definition.name, each]));
  const plan = {
    add: [] as StoredDefinition[],
    change: [] as StoredDefinition[],
    startAfresh: [] as StoredDefinition[],
  };
  for (const each of wanted) {
    const before = left.get(each.name);
    left.delete(each.name);
    const next = merge(each, before);
    if (before === undefined) {
      next.definition.uuid = makeUuid();
      plan.add.push(next);
      continue;
    }
    if (equals(AlertDefinitionSchema, next.definition, before.definition)) continue;
    next.definition.uuid = makeUuid();
    plan.change.push(next);
    if (isAnother(before.definition, next.definition)) plan.startAfresh.push(next);
  }
  return { ...plan, remove: [...left.values()] };
}

function merge(
  wanted: AlertDefinition,
  before: StoredDefinition | undefined,
): { definition: AlertDefinition; edited: number } {
  const definition = clone(AlertDefinitionSchema, wanted);
  if (before === undefined) return { definition, edited: 0 };
  const { definition: old } = before;
  definition.definitionId = old.definitionId;
  definition.uuid = old.uuid;
  let { edited } = before;
  if (edited & editable.enabled) definition.enabled = old.enabled;
  if (edited & editable.interval) definition.intervalMinutes = old.intervalMinutes;
  if (edited & editable.tolerance) setTolerance(definition, old.repeatTolerance);
  if (edited & editable.source) {
    // A source of another type is another check; what was edited in the old one means nothing there.
    if (old.sourceType === wanted.sourceType) definition.sourceJson = old.sourceJson;
    else edited &= ~editable.source;
  }
  return { definition, edited };
}

/** Gives a definition its tolerance, or none. */
export function setTolerance(definition: AlertDefinition, tolerance: number | undefined): void {
  if (tolerance === undefined) delete definition.repeatTolerance;
  else definition.repeatTolerance = tolerance;
}

function isAnother(before: AlertDefinition, after: AlertDefinition): boolean {
  return (
    before.sourceType !== after.sourceType ||
    before.serviceName !== after.serviceName ||
    before.componentName !== after.componentName ||
    before.ignoreHost !== after.ignoreHost ||
    !after.enabled
  );
}

/** What agents are told of a cluster besides its documents: what follows from its stack, serialised. Equal content, equal bytes. */
export function clusterTargets(
  stack: StackDefinition,
  { services }: Pick<ClusterContent, "services">,
): Uint8Array {
  const message = create(ClusterAlertsSchema, { hostScriptsDigest: stack.hostScriptsDigest });
  const used = stack.services
    .filter(({ name }) => services.includes(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const { name, packageDigest, alertDefinitions, components } of used) {
    const runsScripts = alertDefinitions.some(
      ({ sourceType }) => sourceType === AlertSourceType.SCRIPT,
    );
    if (runsScripts && packageDigest !== "") message.packageDigests[name] = packageDigest;
    for (const component of components) {
      if (component.category === Category.MASTER) message.masterComponents.push(component.name);
    }
  }
  return toBinary(ClusterAlertsSchema, message);
}

/** `alerts_repeat_tolerance` of `cluster-env`: a whole number from 1 to 100, else 1. */
export function repeatToleranceOf({
  configurations,
}: Pick<ClusterContent, "configurations">): number {
  const text = configurations.get("cluster-env")?.properties.alerts_repeat_tolerance?.trim() ?? "";
  const value = Number(text);
  return /^\d{1,3}$/.test(text) && value >= 1 && value <= 100 ? value : 1;
}
