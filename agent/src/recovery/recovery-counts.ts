/** How often this agent has recovered a component, for alerts. */
export interface RecoveryCount {
  /** In the current window; 0 when the last one is longer ago than a window. */
  readonly count: number;
  /** Wall clock, when the current window began; undefined with `count` 0. */
  readonly sinceMs: number | undefined;
  /** It is not recovered any more until the agent starts anew: it was recovered as often as it may be in the agent's life. */
  readonly lifetimeReached: boolean;
}

/** Tells how often components were recovered. */
export interface RecoveryCounts {
  /** A component that was never recovered has the count 0. */
  recoveryCount(clusterId: bigint, componentName: string): RecoveryCount;
}
