/** A component of a cluster and the hosts that it is on. */
export interface Placement {
  readonly service: string;
  readonly component: string;
  /** At least one, in lower case, each once. */
  readonly hostNames: readonly string[];
  /** Whether agents start it by themselves; undefined: as the stack says. */
  readonly autoStart?: boolean | undefined;
}

/** The values of one configuration type, and what the stack says about them. */
export interface TypeContent {
  readonly properties: Readonly<Record<string, string>>;
  /** Properties that scripts find under `configurationAttributes.TYPE.final`, sorted. */
  readonly final: readonly string[];
  /** Properties that the stack declares as secret, sorted. */
  readonly secret: readonly string[];
}

/** What a cluster is made of. */
export interface ClusterContent {
  readonly name: string;
  readonly stackName: string;
  readonly stackVersion: string;
  /** Sorted. */
  readonly services: readonly string[];
  /** By service, then component; a component that is on no host has none. */
  readonly placements: readonly Placement[];
  /** The configuration types in force, complete: the stack's defaults and what replaces them. */
  readonly configurations: ReadonlyMap<string, TypeContent>;
}

/** The newest version of a configuration type. */
export interface TypeVersion {
  readonly version: number;
  /** False for a type that is no longer part of the cluster. Only the newest version is ever in force. */
  readonly selected: boolean;
  readonly content: TypeContent;
}

/** SHA-256 of each of a cluster's documents. */
export interface DocumentDigests {
  readonly configurations: string;
  readonly topology: string;
  readonly metadata: string;
}

/** A cluster as it is stored. */
export interface StoredCluster extends ClusterContent {
  readonly clusterId: number;
  readonly version: number;
  readonly digests: DocumentDigests;
  /** Its services that are in maintenance, since when, and why. */
  readonly maintenance: ReadonlyMap<string, { readonly reason: string; readonly since: number }>;
  /** The newest version of every configuration type that the cluster has or had. */
  readonly types: ReadonlyMap<string, TypeVersion>;
}

/** A host as a cluster sees it. */
export interface ClusterHost {
  readonly hostId: number;
  readonly hostName: string;
  /** Its label `rack`. */
  readonly rackName?: string;
  /** Its fact `ipaddress`. */
  readonly ipv4?: string;
}

const naturalOrder = new Intl.Collator("en", { numeric: true }).compare;

/**
 * Orders host names as people do, host2 before host10: so that host10 goes to the end of a cluster's list of hosts
 * and moves nobody, since scripts may reckon with a host's place in that list.
 */
export function compareHostNames(a: string, b: string): number {
  return naturalOrder(a, b) || (a < b ? -1 : Number(a > b));
}

/** `a, b, c`, or the first five and how many more there are. */
export function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(", ");
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}
