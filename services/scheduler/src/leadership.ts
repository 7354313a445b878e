import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { Lease } from "@howdah/proto/howdah/v1/store_leases";
import type { Logger } from "pino";

const leaseName = "scheduler";

/** What leadership needs. */
export interface LeadershipOptions {
  readonly store: Client<typeof CommandStoreService>;
  /** A stable name of this scheduler. */
  readonly instance: string;
  /** Where services reach this scheduler. */
  readonly address: string;
  readonly log: Logger;
  /** How long the lease lasts without renewal. Default 6,000. */
  readonly durationMs?: number;
  /** How often it is renewed. Default a third of its duration. */
  readonly renewMs?: number;
  /** How often a standby asks for it once a renewal is late; before that half as often. Default a twelfth of its duration. */
  readonly retryMs?: number;
  /** Told the lease as another scheduler holds it, each time it is asked for. Default: nobody is told. */
  readonly watched?: (lease: Lease) => void;
  /** Leads with this token until the signal aborts (the lease is lost, or the process stops). */
  readonly lead: (token: bigint, signal: AbortSignal) => Promise<void>;
}

interface Times {
  readonly durationMs: number;
  readonly renewMs: number;
  readonly retryMs: number;
}

/**
 * Stands by until it holds the scheduler's lease, leads while it does, and stands by again. Expiry is judged on this process's
 * monotonic clock: a lease has expired when its token and counter have not changed for its duration, counted anew whenever the
 * store could not be reached.
 */
export async function takeTurns(options: LeadershipOptions, signal: AbortSignal): Promise<void> {
  const { durationMs = 6_000 } = options;
  const times = {
    durationMs,
    renewMs: options.renewMs ?? durationMs / 3,
    retryMs: options.retryMs ?? durationMs / 12,
  };
  const holder = `${options.instance}/${randomUUID()}`;
  while (!signal.aborted) {
    const lease = await acquire(options, times, holder, signal);
    if (lease === undefined) return;
    // Not as `token`: a field of that name is masked.
    options.log.info({ lease: lease.token }, "leading");
    const turn = new AbortController();
    const stop = () => turn.abort();
    signal.addEventListener("abort", stop, { once: true });
    // Everything of a turn has ended before the next one begins.
    const [led] = await Promise.allSettled([
      options.lead(lease.token, turn.signal).finally(stop),
      keep(options, times, lease.token, turn),
    ]);
    signal.removeEventListener("abort", stop);
    if (signal.aborted) await release(options, times, lease.token);
    else if (led.status === "rejected") options.log.error({ err: led.reason }, "stopped leading");
    await sleep(times.retryMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Waits until the lease is this process's; undefined when the signal aborts first. */
async function acquire(
  { store, address, log, watched: tell = () => undefined }: LeadershipOptions,
  { durationMs, retryMs }: Times,
  holder: string,
  signal: AbortSignal,
): Promise<Lease | undefined> {
  let watched: { lease: Lease; since: number } | undefined;
  let away = false;
  while (!signal.aborted) {
    try {
      const expired =
        watched !== undefined &&
        performance.now() - watched.since >= Number(watched.lease.durationMs);
      const { lease, acquired } = await store.acquireLease(
        {
          name: leaseName,
          holder,
          address,
          durationMs: BigInt(durationMs),
          ...(expired &&
            watched !== undefined && {
              expiredToken: watched.lease.token,
              expiredCounter: watched.lease.counter,
            }),
        },
        // A store that takes longer is away: the holder could not renew either.
        { signal, timeoutMs: durationMs / 2 },
      );
      if (lease === undefined) throw new ConnectError("the answer has no lease", Code.Internal);
      if (acquired) return lease;
      away = false;
      tell(lease);
      const same = watched?.lease.token === lease.token && watched.lease.counter === lease.counter;
      if (!same) {
        if (watched === undefined) log.info({ holder: lease.holder }, "standing by");
        watched = { lease, since: performance.now() };
      }
    } catch (error) {
      if (signal.aborted) break;
      watched = undefined;
      if (!away)
        log.warn(`cannot ask for the lease, asking on: ${ConnectError.from(error).rawMessage}`);
      away = true;
    }
    const isLate = watched === undefined || performance.now() - watched.since > durationMs / 2;
    const pauseMs = isLate ? retryMs : 2 * retryMs;
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
  }
  return undefined;
}

/** Renews the lease until the turn ends; ends the turn when somebody else has taken it. */
async function keep(
  { store, log }: LeadershipOptions,
  { durationMs, renewMs }: Times,
  token: bigint,
  turn: AbortController,
): Promise<void> {
  const { signal } = turn;
  while (!signal.aborted) {
    await sleep(renewMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    try {
      await store.renewLease({ name: leaseName, token }, { signal, timeoutMs: durationMs });
    } catch (error) {
      if (signal.aborted) return;
      const { code, rawMessage } = ConnectError.from(error);
      if (code === Code.FailedPrecondition) {
        log.warn(`lost the lease: ${rawMessage}`);
        turn.abort();
        return;
      }
      // The store is away: nobody can take the lease meanwhile, and every write names the token.
      log.warn(`cannot renew the lease: ${rawMessage}`);
    }
  }
}

async function release(
  { store, log }: LeadershipOptions,
  { renewMs }: Times,
  token: bigint,
): Promise<void> {
  try {
    await store.releaseLease({ name: leaseName, token }, { timeoutMs: renewMs });
  } catch (error) {
    log.warn(`cannot give the lease back: ${ConnectError.from(error).rawMessage}`);
  }
}
