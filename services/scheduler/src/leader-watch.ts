import type { Lease } from "@howdah/proto/howdah/v1/store_leases";
import type { RpcTransport } from "@howdah/rpc/transport";
import type { Logger } from "pino";

/** Another scheduler, which holds the lease. */
export interface OtherLeader {
  /** Its name and address, for messages. */
  readonly name: string;
  readonly transport: RpcTransport;
  /** Aborts once it is known that it does not lead any more; its connection is closed then. */
  readonly over: AbortSignal;
}

/** Who leads, as far as this scheduler knows: "here", another one, or nobody that it knows of. */
export type Leader = "here" | OtherLeader | undefined;

/** Knows who leads: what this scheduler does itself, and what a standby sees of the lease whenever it asks for it. */
export class LeaderWatch {
  private known: Leader;
  private token = 0n;
  private close: () => void = () => undefined;
  private readonly waiting = new Set<() => void>();

  /** @param connect opens a connection to a scheduler's address; throws for one that is none */
  constructor(
    private readonly connect: (address: string) => RpcTransport,
    private readonly log: Logger,
  ) {}

  /** Who leads now. */
  get leader(): Leader {
    return this.known;
  }

  /** This scheduler leads, or does so no more. */
  leadsHere(leads: boolean): void {
    if (leads) this.become("here");
    else if (this.known === "here") this.become(undefined);
  }

  /** Another scheduler holds the lease. */
  leadsElsewhere({ token, holder, address }: Lease): void {
    if (this.token === token) return;
    this.become(undefined);
    this.token = token;
    let transport: RpcTransport;
    try {
      transport = this.connect(address);
    } catch (error) {
      // What another scheduler says of itself must not keep this one from taking the lease in its turn.
      this.log.warn(
        { err: error, holder },
        "the scheduler that leads has no address to connect to",
      );
      return;
    }
    const over = new AbortController();
    this.become({ name: `${holder} at ${address}`, transport, over: over.signal });
    this.token = token;
    this.close = () => {
      over.abort();
      transport.close();
    };
  }

  /** Resolves when somebody else leads than now, after `ms`, or when the signal aborts. */
  async change(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        this.waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener("abort", done);
      this.waiting.add(done);
    });
  }

  /** Nobody leads that it knows of, and connections are closed: for the end of the process. */
  stop(): void {
    this.become(undefined);
  }

  private become(leader: Leader): void {
    this.known = leader;
    this.token = 0n;
    this.close();
    this.close = () => undefined;
    for (const done of [...this.waiting]) done();
  }
}
