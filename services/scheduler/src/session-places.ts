import type { Session } from "@howdah/proto/howdah/v1/dispatcher_service";

/** Where a host's session is. */
export interface Place {
  /** The name of the dispatcher's lease. */
  readonly dispatcher: string;
  readonly epoch: bigint;
}

/** Where the sessions of hosts are, by what dispatchers tell: in any order, and some of it twice. */
export class SessionPlaces {
  private readonly places = new Map<bigint, Place>();

  /** @param told called with a host whose session opened, is over, or is not known any more */
  constructor(private readonly told: (hostId: bigint, place: Place | undefined) => void) {}

  /** The dispatcher's sessions are these. */
  sessions(dispatcher: string, sessions: readonly Session[]): void {
    this.outOfReach(dispatcher);
    for (const session of sessions) this.opened(dispatcher, session);
  }

  /** The dispatcher cannot be reached: nothing is known of its hosts until it tells its sessions again. */
  outOfReach(dispatcher: string): void {
    for (const [hostId, place] of this.places) {
      if (place.dispatcher === dispatcher) this.forget(hostId);
    }
  }

  /** A session opened. */
  opened(dispatcher: string, { hostId, sessionEpoch: epoch }: Session): void {
    const before = this.places.get(hostId);
    // What two dispatchers tell may come in any order.
    if (before !== undefined && before.epoch >= epoch) return;
    const place = { dispatcher, epoch };
    this.places.set(hostId, place);
    this.told(hostId, place);
  }

  /** A session ended. */
  closed(hostId: bigint, epoch: bigint): void {
    if (this.places.get(hostId)?.epoch === epoch) this.forget(hostId);
  }

  /** Where the host's session is; undefined when it has none. */
  of(hostId: bigint): Place | undefined {
    return this.places.get(hostId);
  }

  /** The hosts that have a session. */
  hosts(): bigint[] {
    return [...this.places.keys()];
  }

  private forget(hostId: bigint): void {
    this.places.delete(hostId);
    this.told(hostId, undefined);
  }
}
