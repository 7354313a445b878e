import type { Plan } from "./planner/plan-operation.js";

/** A plan, and what turning it into a request takes. */
export interface PlannedRequest {
  readonly plan: Plan;
  /** For people, such as `Start MARIADB`. */
  readonly context: string;
  /** 0 without a cluster. */
  readonly clusterId: bigint;
  /** The ids of all hosts in the plan, by name, and maybe of others of its cluster. */
  readonly hostIds: ReadonlyMap<string, bigint>;
  /** What the plan's unchanged components are, such as `STARTED already`. */
  readonly unchangedAre: string;
}

/**
 * What a plan leaves out, for the request: hosts, and service checks, which stand there under their role's name as no host is left for
 * them.
 */
export function skippedOf({ skippedHosts, skippedChecks }: Plan) {
  return [
    ...skippedHosts.map(({ host, reason }) => ({ hostName: host, reason })),
    ...skippedChecks.map(({ role, reason }) => ({ hostName: role, reason })),
  ];
}

const maxContext = 255;

/** A context that fits; cut between characters. */
export function cut(context: string): string {
  const characters = [...context];
  if (characters.length <= maxContext) return context;
  return `${characters.slice(0, maxContext - 1).join("")}…`;
}
