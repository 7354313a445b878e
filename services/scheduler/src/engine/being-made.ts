/**
 * Requests that are being stored, some with their first commands. Such a host belongs to its request from the moment it is asked for: nothing
 * else is released to it, until the request is driven or will not be.
 */
export class BeingMade {
  /** How many of them want each host. */
  private readonly wanted = new Map<bigint, number>();
  /** The hosts that get commands with one of them, and what ends it. */
  private readonly held = new Map<bigint, () => void>();

  /** Whether one of them wants the host. */
  wants(hostId: bigint): boolean {
    return this.wanted.has(hostId);
  }

  /** Whether the host gets commands with one of them. */
  holds(hostId: bigint): boolean {
    return this.held.has(hostId);
  }

  /** Whether some host does. */
  get holding(): boolean {
    return this.held.size > 0;
  }

  /** A request is driven that has a command released to the host: it is the one that the host is kept for, since nobody else releases there. */
  driven(hostId: bigint): void {
    this.held.get(hostId)?.();
  }

  /**
   * A request is being stored.
   * @param hostIds all that it wants
   * @param held those of them that get commands with it, which no other one wants
   * @param ended called once, when its hosts are free for others
   * @returns to be called when it is driven, or will not be; it ends by itself when it is driven with a command on one of `held`, whoever found it
   */
  begin(hostIds: ReadonlySet<bigint>, held: ReadonlySet<bigint>, ended: () => void): () => void {
    let isOver = false;
    const end = () => {
      if (isOver) return;
      isOver = true;
      for (const hostId of held) this.held.delete(hostId);
      for (const hostId of hostIds) {
        const left = (this.wanted.get(hostId) ?? 0) - 1;
        if (left > 0) this.wanted.set(hostId, left);
        else this.wanted.delete(hostId);
      }
      ended();
    };
    for (const hostId of hostIds) this.wanted.set(hostId, (this.wanted.get(hostId) ?? 0) + 1);
    for (const hostId of held) this.held.set(hostId, end);
    return end;
  }
}
