import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { Lease } from "@howdah/proto/howdah/v1/store_leases";
import type { Logger } from "pino";
import { createBackoff, messageOf, pause } from "./retry.js";

/** How to keep a lease. */
export interface LeaseOptions {
  readonly store: Pick<
    Client<typeof CommandStoreService>,
    "acquireLease" | "renewLease" | "releaseLease" | "listLeases"
  >;
  /** The lease's name: "dispatcher/NAME". */
  readonly name: string;
  /** "NAME/RANDOM", the random part new with each start. */
  readonly holder: string;
  /** Where other services reach this process. */
  readonly address: string;
  /** Default 6,000. */
  readonly durationMs?: number;
  /** Default 2,000. */
  readonly renewEveryMs?: number;
  /** Called each time the lease was taken. */
  acquired(token: bigint): void;
  /** Called when somebody else took it: what was done under it is not ours any more. */
  lost(): void;
  readonly log: Logger;
}

/** A lease that is kept until it is released. */
export interface LeaseKeeper {
  readonly name: string;
  /** The token; undefined while the lease is not held. */
  readonly token: bigint | undefined;
  /** Stops renewing and gives the lease back, so that others need not wait. Gives up after a second without the store. */
  release(): Promise<void>;
}

/**
 * Takes a lease and keeps it. While the store is away it stays ours, however long that takes, unless somebody else takes it
 * then. Once somebody else has it, it is taken back only when it is given back or has expired by our own clock: two processes
 * with one name must not take it from each other for ever.
 */
export function keepLease(options: LeaseOptions): LeaseKeeper {
  const { store, name, holder, address, log } = options;
  const durationMs = options.durationMs ?? 6_000;
  const renewEveryMs = options.renewEveryMs ?? 2_000;
  const stop = new AbortController();
  const { signal } = stop;
  let token: bigint | undefined;
  const call = () => ({ signal, timeoutMs: durationMs });

  /** Repeats a call until it is answered; undefined when we are to stop. */
  async function insist<T>(what: string, attempt: () => Promise<T>): Promise<T | undefined> {
    const backoff = createBackoff(100, renewEveryMs);
    for (let tries = 1; !signal.aborted; tries += 1) {
      try {
        return await attempt();
      } catch (error) {
        if (signal.aborted) return undefined;
        if (tries === 1)
          log.warn({ error: messageOf(error), lease: name }, `cannot ${what}, trying again`);
        await pause(backoff.nextMs(), signal);
      }
    }
    return undefined;
  }

  async function acquire(expired: { token: bigint; counter: bigint }): Promise<Lease | undefined> {
    const answer = await insist("take the lease", () =>
      store.acquireLease(
        {
          name,
          holder,
          address,
          durationMs: BigInt(durationMs),
          expiredToken: expired.token,
          expiredCounter: expired.counter,
        },
        call(),
      ),
    );
    return answer?.acquired === true ? answer.lease : undefined;
  }

  async function renewUntilLost(): Promise<void> {
    while (!signal.aborted) {
      await pause(renewEveryMs, signal);
      if (signal.aborted || token === undefined) return;
      try {
        await store.renewLease({ name, token }, call());
      } catch (error) {
        const { code } = ConnectError.from(error);
        if (code === Code.FailedPrecondition || code === Code.NotFound) return;
        if (!signal.aborted)
          log.warn({ error: messageOf(error), lease: name }, "cannot renew the lease");
      }
    }
  }

  /** Resolves when the lease is free, with what shows that it expired if it did. */
  async function standBy(): Promise<{ token: bigint; counter: bigint }> {
    let seen: { token: bigint; counter: bigint; since: number } | undefined;
    while (!signal.aborted) {
      try {
        const { leases } = await store.listLeases({ prefix: name }, call());
        const lease = leases.find((one) => one.name === name);
        if (lease === undefined || lease.holder === "") break;
        const { token, counter } = lease;
        if (seen?.token !== token || seen.counter !== counter) {
          seen = { token, counter, since: performance.now() };
        } else if (performance.now() - seen.since > Number(lease.durationMs)) {
          return seen;
        }
      } catch {
        // The time in which we could not look does not count: the holder may have renewed it.
        seen = undefined;
      }
      await pause(renewEveryMs / 2, signal);
    }
    return { token: 0n, counter: 0n };
  }

  async function keep(): Promise<void> {
    let expired = { token: 0n, counter: 0n };
    while (!signal.aborted) {
      const lease = await acquire(expired);
      if (lease !== undefined) {
        token = lease.token;
        log.info({ lease: name, term: String(token) }, "lease taken");
        options.acquired(token);
        await renewUntilLost();
        if (signal.aborted) return;
        token = undefined;
        log.error(
          { lease: name },
          "another process took the lease; is HOWDAH_INSTANCE the same for two?",
        );
        options.lost();
      }
      expired = await standBy();
    }
  }
  const keeping = keep();

  return {
    name,
    get token() {
      return token;
    },
    async release() {
      stop.abort(new Error("the lease is released"));
      await keeping;
      if (token === undefined) return;
      const held = token;
      token = undefined;
      try {
        await store.releaseLease({ name, token: held }, { timeoutMs: 1_000 });
      } catch (error) {
        log.warn(
          { error: messageOf(error), lease: name },
          "cannot give the lease back, it will expire",
        );
      }
    },
  };
}
