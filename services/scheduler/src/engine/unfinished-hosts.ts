/** How a task shares its host: in the order of requests, or beside it (PARALLEL requests, background commands). */
export type Lane = "ordered" | "beside";

/** On which hosts a request has tasks that are not done, by lane. */
export class UnfinishedHosts {
  private readonly lanes = {
    ordered: new Map<bigint, number>(),
    beside: new Map<bigint, number>(),
  } as const;

  /** One task more, or less. */
  count(hostId: bigint, lane: Lane, by: 1 | -1): void {
    const hosts = this.lanes[lane];
    const left = (hosts.get(hostId) ?? 0) + by;
    if (left === 0) hosts.delete(hostId);
    else hosts.set(hostId, left);
  }

  /** Whether there are none. */
  get empty(): boolean {
    return this.lanes.ordered.size + this.lanes.beside.size === 0;
  }

  /** How many tasks there are on the host; without a lane in both. */
  on(hostId: bigint, lane?: Lane): number {
    if (lane === undefined) return this.on(hostId, "ordered") + this.on(hostId, "beside");
    return this.lanes[lane].get(hostId) ?? 0;
  }

  /** All of them, each once. */
  *hosts(): Iterable<bigint> {
    const { ordered, beside } = this.lanes;
    yield* ordered.keys();
    for (const hostId of beside.keys()) if (!ordered.has(hostId)) yield hostId;
  }
}
