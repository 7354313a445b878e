import type { StackDefinition } from "@howdah/proto/howdah/v1/stack";
import type { ComponentStates } from "./component-states.js";
import type { InMaintenance } from "./maintenance.js";
import type { Operation } from "./operation.js";

/** What the planner knows of a cluster. */
export interface ClusterTopology {
  readonly name: string;
  readonly id: bigint;
  /** The installed services. */
  readonly services: readonly string[];
  /** For each component its hosts. */
  readonly components: ReadonlyMap<string, readonly string[]>;
  /** The properties of its `cluster-env`; default none. */
  readonly environment?: Readonly<Record<string, string>>;
  /** All its hosts; default those that `components` names. */
  readonly hosts?: readonly string[];
}

/** Why a host cannot be asked to do anything. */
export type HostState = "LOST";

/** Everything that planning goes by. */
export interface PlanInput {
  readonly operation: Operation;
  readonly cluster: ClusterTopology;
  readonly stack: StackDefinition;
  /** The hosts that are not well; a host that is not in it is. */
  readonly hostStates?: ReadonlyMap<string, HostState>;
  /** The last word about components on hosts. Default: nothing is known, and all takes part. */
  readonly states?: ComponentStates;
  /** What is in maintenance. Default nothing. */
  readonly maintenance?: InMaintenance;
  /** Picks the host of a service check out of at least one, sorted by name. Default: see `hostLoad`. */
  readonly chooseCheckHost?: (hosts: readonly string[], service: string) => string;
  readonly timeouts?: Timeouts;
}

/** Defaults for time-outs. */
export interface Timeouts {
  /** For commands whose script states none. Default 900,000. */
  readonly defaultMs?: number;
  /** The least an INSTALL gets. Default 1,800,000. */
  readonly installMs?: number;
  /** For custom commands that run in the background and state none of their own: Ambari ends none of them. Default 604,800,000, a week. */
  readonly backgroundMs?: number;
  /** For every service check, whatever its script states; 0 for what the script states. Default 0. */
  readonly serviceCheckMs?: number;
}
