import { setTimeout as sleep } from "node:timers/promises";
import { type Client, ConnectError } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { RpcTransport } from "@howdah/rpc/transport";
import type { Logger } from "pino";
import {
  type Cancel,
  type DispatcherEvents,
  DispatcherLink,
  type ReleasedCommand,
} from "./engine/dispatcher-link.js";

const leasePrefix = "dispatcher/";
const lookMs = 2_000;

/** What the directory of dispatchers needs. */
export interface DispatchersOptions {
  readonly store: Client<typeof CommandStoreService>;
  readonly token: bigint;
  readonly log: Logger;
  /** Opens a connection to a dispatcher's address. */
  readonly connect: (address: string) => RpcTransport;
}

/** The dispatchers there are, found by their leases, and the links to them. */
export class Dispatchers {
  private readonly links = new Map<string, { address: string; link: DispatcherLink }>();

  constructor(private readonly options: DispatchersOptions) {}

  /** Hands commands to a dispatcher. Those for one that is gone are left to the next registration of their hosts. */
  enqueue(dispatcher: string, commands: readonly ReleasedCommand[]): void {
    this.links.get(dispatcher)?.link.enqueue(commands);
  }

  /** Hands cancels to a dispatcher. */
  cancel(dispatcher: string, cancels: readonly Cancel[]): void {
    this.links.get(dispatcher)?.link.cancel(cancels);
  }

  /** Follows the leases, and tells what the dispatchers tell, until the signal aborts. */
  async follow(events: DispatcherEvents, signal: AbortSignal): Promise<void> {
    const { store, log } = this.options;
    while (!signal.aborted) {
      try {
        const { leases } = await store.listLeases({ prefix: leasePrefix }, { signal });
        const live = new Map(
          leases.filter(({ holder }) => holder !== "").map(({ name, address }) => [name, address]),
        );
        await this.update(live, events);
      } catch (error) {
        if (signal.aborted) break;
        log.warn(`cannot list dispatchers: ${ConnectError.from(error).rawMessage}`);
      }
      await sleep(lookMs, undefined, { signal }).catch(() => undefined);
    }
    await this.update(new Map(), events);
  }

  private async update(live: ReadonlyMap<string, string>, events: DispatcherEvents): Promise<void> {
    const gone = [...this.links].filter(([name, { address }]) => live.get(name) !== address);
    for (const [name] of gone) this.links.delete(name);
    await Promise.all(gone.map(([, { link }]) => link.stop()));
    for (const [name, address] of live) {
      if (this.links.has(name)) continue;
      const { token, log, connect } = this.options;
      const link = new DispatcherLink(name, connect(address), token, events, log);
      this.links.set(name, { address, link });
    }
  }
}
