import { canonicalJson } from "../canonical-json.js";
import {
  type ClusterContent,
  listed,
  type Placement,
  type StoredCluster,
  type TypeContent,
} from "./cluster.js";

/** What has to be done about one configuration type. */
export type TypeStep =
  /** Its content differs from the newest version (or there is none): a new version, in force. */
  | { kind: "make"; type: string; version: number; content: TypeContent; changed: string[] }
  /** It comes back as it was: its newest version is in force again. */
  | { kind: "select"; type: string; version: number }
  /** It is no longer part of the cluster; its versions stay. */
  | { kind: "leave"; type: string };

/** What a cluster says about a component: whether agents start it by themselves; undefined: nothing, or it is gone. */
export interface AutoStartStep {
  readonly service: string;
  readonly component: string;
  readonly enabled: boolean | undefined;
}

/** The way from a stored cluster to another content. */
export interface ClusterPlan {
  readonly addedServices: string[];
  readonly removedServices: string[];
  readonly put: Placement[];
  readonly taken: Placement[];
  /** Components of which the cluster says otherwise than before whether agents start them by themselves. */
  readonly autoStart: AutoStartStep[];
  readonly types: TypeStep[];
}

/** What must change. Without a stored cluster everything is new. */
export function planCluster(current: StoredCluster | undefined, next: ClusterContent): ClusterPlan {
  const before = current?.services ?? [];
  return {
    addedServices: next.services.filter((name) => !before.includes(name)),
    removedServices: before.filter((name) => !next.services.includes(name)),
    put: missingFrom(current?.placements ?? [], next.placements),
    taken: missingFrom(next.placements, current?.placements ?? []),
    autoStart: planAutoStart(current?.placements ?? [], next.placements),
    types: planTypes(current?.types ?? new Map(), next.configurations),
  };
}

function missingFrom(there: readonly Placement[], wanted: readonly Placement[]): Placement[] {
  const key = (placement: Placement) => `${placement.service}/${placement.component}`;
  const hosts = new Map(there.map((each) => [key(each), new Set(each.hostNames)]));
  return wanted
    .map((placement) => ({
      ...placement,
      hostNames: placement.hostNames.filter((name) => !hosts.get(key(placement))?.has(name)),
    }))
    .filter((placement) => placement.hostNames.length > 0);
}

function planAutoStart(before: readonly Placement[], after: readonly Placement[]): AutoStartStep[] {
  const key = ({ service, component }: Placement) => `${service}/${component}`;
  const was = new Map(before.map((each) => [key(each), each.autoStart]));
  const now = new Map(after.map((each) => [key(each), each.autoStart]));
  const gone = before.filter((each) => !now.has(key(each)));
  return [...after, ...gone]
    .filter((each) => was.get(key(each)) !== now.get(key(each)))
    .map((each) => ({
      ...{ service: each.service, component: each.component },
      enabled: now.get(key(each)),
    }));
}

function planTypes(
  stored: StoredCluster["types"],
  next: ClusterContent["configurations"],
): TypeStep[] {
  const steps: TypeStep[] = [];
  for (const [type, content] of [...next].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const newest = stored.get(type);
    if (newest === undefined || canonicalJson(newest.content) !== canonicalJson(content)) {
      const changed = changedProperties(newest?.content, content);
      steps.push({ kind: "make", type, version: (newest?.version ?? 0) + 1, content, changed });
    } else if (!newest.selected) {
      steps.push({ kind: "select", type, version: newest.version });
    }
  }
  for (const [type, { selected }] of stored) {
    if (selected && !next.has(type)) steps.push({ kind: "leave", type });
  }
  return steps;
}

function changedProperties(before: TypeContent | undefined, after: TypeContent): string[] {
  const old = before?.properties ?? {};
  const names = new Set([...Object.keys(old), ...Object.keys(after.properties)]);
  return [...names].filter((name) => old[name] !== after.properties[name]).sort();
}

/** The plan as sentences for people; never a value, since it may be a secret. `custom`: is it a type the stack does not have? */
export function describePlan(
  current: StoredCluster | undefined,
  next: ClusterContent,
  plan: ClusterPlan,
  custom: (type: string) => boolean,
): string[] {
  const stack = `${next.stackName}/${next.stackVersion}`;
  const oldStack = current && `${current.stackName}/${current.stackVersion}`;
  const gone = new Set(plan.removedServices);
  return [
    ...(oldStack === undefined ? [`make cluster ${next.name} of stack ${stack}`] : []),
    ...(oldStack !== undefined && oldStack !== stack
      ? [`change the stack from ${oldStack} to ${stack}`]
      : []),
    ...plan.addedServices.map((name) => `add ${name}`),
    ...plan.removedServices.map((name) => `remove ${name}`),
    ...plan.put.map((each) => `put ${each.component} on ${listed(each.hostNames)}`),
    ...plan.taken
      .filter((each) => !gone.has(each.service))
      .map((each) => `take ${each.component} off ${listed(each.hostNames)}`),
    ...plan.autoStart
      .filter((each) => isPlaced(next, each))
      .map((each) => `auto start of ${each.component}: ${autoStartWord(each.enabled)}`),
    ...plan.types.map((step) => describeType(step, custom)),
  ];
}

function isPlaced({ placements }: ClusterContent, { service, component }: AutoStartStep): boolean {
  return placements.some((each) => each.service === service && each.component === component);
}

function autoStartWord(enabled: boolean | undefined): string {
  if (enabled === undefined) return "as the stack says";
  return enabled ? "on" : "off";
}

function describeType(step: TypeStep, custom: (type: string) => boolean): string {
  if (step.kind === "leave") return `${step.type}: left out`;
  if (step.kind === "select") return `${step.type}: version ${step.version} again`;
  const made = `${step.type}: version ${step.version}`;
  if (step.version === 1) {
    return custom(step.type) ? `${made}, a type that the stack does not have` : made;
  }
  // Only what the stack says about a property may differ.
  return `${made} (${step.changed.length > 0 ? listed(step.changed) : "attributes"})`;
}
