/** How much a plan has its hosts do, for choosing where else something may run. */
export interface HostLoad {
  /** The host with the fewest checks so far; of those the one with the fewest tasks; of those the first. Counts the check. */
  takeCheck(hosts: readonly string[]): string | undefined;
}

/**
 * Spreads service checks: a host runs one command at a time, so checks that are all on one host wait for each other.
 * @param work the hosts of each role that does something besides; counted once, and only if a check is to be placed
 */
export function hostLoad(work: readonly { readonly hosts: readonly string[] }[]): HostLoad {
  let tasks: Map<string, number> | undefined;
  const checks = new Map<string, number>();
  const count = (counts: Map<string, number>, host: string) =>
    counts.set(host, (counts.get(host) ?? 0) + 1);
  const countWork = () => {
    const counts = new Map<string, number>();
    for (const { hosts } of work) for (const host of hosts) count(counts, host);
    return counts;
  };
  return {
    takeCheck(hosts) {
      tasks ??= countWork();
      let best: string | undefined;
      let bestChecks = 0;
      let bestTasks = 0;
      for (const host of hosts) {
        const itsChecks = checks.get(host) ?? 0;
        const itsTasks = tasks.get(host) ?? 0;
        const isBetter =
          itsChecks < bestChecks || (itsChecks === bestChecks && itsTasks < bestTasks);
        if (best !== undefined && !isBetter) continue;
        best = host;
        bestChecks = itsChecks;
        bestTasks = itsTasks;
      }
      if (best !== undefined) count(checks, best);
      return best;
    },
  };
}
