import { setTimeout as sleep } from "node:timers/promises";
import type { ChaosFleet } from "../fleet/chaos-fleet.js";
import type { Random } from "../random.js";
import { chooseFault } from "./choose-fault.js";
import type { Evidence, Fault, FaultKind } from "./fault.js";

/** Makes things go wrong until it is stopped. */
export interface Nemesis {
  /** How many faults there were, by kind. */
  readonly counts: ReadonlyMap<FaultKind, number>;
  readonly evidence: Readonly<Evidence>;
  /** Aborted when something could not be done or healed; `stop` says what. */
  readonly failed: AbortSignal;
  /** Ends, and waits until all is healed. Throws what a fault or its healing threw. */
  stop(): Promise<void>;
}

/** How it goes about it. */
export interface NemesisOptions {
  readonly fleet: ChaosFleet;
  readonly random: Random;
  readonly kinds: readonly FaultKind[];
  readonly log: (line: string) => void;
  /** So many at a time. Default 3. */
  readonly atOnce?: number;
  /** The longest pause before the next one. Default 3,000. */
  readonly pauseMs?: number;
}

/** Starts it. What it does follows from the random numbers; only which hosts crash depends on where commands run as well. */
export function startNemesis(options: NemesisOptions): Nemesis {
  const { fleet, random, kinds, log, atOnce = 3, pauseMs = 3_000 } = options;
  const stopping = new AbortController();
  const counts = new Map<FaultKind, number>();
  const evidence: Evidence = { databaseKills: [], crashes: [], wipedJournals: [] };
  const touched = new Set<string>();

  async function inflict(fault: Fault): Promise<void> {
    for (const name of fault.touches) touched.add(name);
    counts.set(fault.kind, (counts.get(fault.kind) ?? 0) + 1);
    log(`fault: ${fault.text} for ${fault.lastsMs} ms`);
    try {
      await fault.begin();
      await sleep(fault.lastsMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    } finally {
      await fault.heal();
      for (const name of fault.touches) touched.delete(name);
    }
  }

  async function takeTurns(own: Random): Promise<void> {
    while (!stopping.signal.aborted) {
      const fault = chooseFault(own.pick(kinds), fleet, own, evidence);
      if (fault !== undefined && !fault.touches.some((name) => touched.has(name))) {
        await inflict(fault);
      }
      const rest = own.between(pauseMs / 10, pauseMs);
      await sleep(rest, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  }
  const failing = new AbortController();
  const turns = Array.from({ length: atOnce }, (_, n) => takeTurns(random.fork(`nemesis ${n}`)));
  for (const turn of turns) {
    turn.catch((error: unknown) => {
      stopping.abort();
      failing.abort(error);
    });
  }

  return {
    counts,
    evidence,
    failed: failing.signal,
    async stop() {
      stopping.abort();
      const failed = (await Promise.allSettled(turns)).find(({ status }) => status === "rejected");
      if (failed?.status === "rejected") throw failed.reason;
    },
  };
}
