import type { MaintenancePeriod } from "../check/history.js";
import type { Random } from "../random.js";
import { rest } from "../rest.js";
import { uptimeMs } from "../uptime.js";
import type { Operators } from "./operators.js";

/** Somebody who works on one host after the other. */
export interface Maintenance {
  readonly periods: readonly MaintenancePeriod[];
  /** Begins nothing new, and waits until no host is in maintenance. */
  stop(): Promise<void>;
}

/** Starts to put a host into maintenance now and then, for some seconds. */
export function startMaintenance(
  operators: Operators,
  hosts: readonly string[],
  random: Random,
): Maintenance {
  const stopping = new AbortController();
  const periods: MaintenancePeriod[] = [];
  const errors: unknown[] = [];

  async function set(host: string, on: boolean): Promise<void> {
    const message = { hosts: { names: [host] }, on, reason: "the test works on it" };
    await operators.insist(({ fleet }) => fleet.setMaintenance(message));
  }

  async function work(): Promise<void> {
    while (!stopping.signal.aborted && !operators.closed.aborted) {
      const host = random.pick(hosts);
      const [pauseMs, lastsMs] = [random.between(2_000, 8_000), random.between(2_000, 8_000)];
      const ends = AbortSignal.any([stopping.signal, operators.closed]);
      await rest(pauseMs, ends);
      await set(host, true);
      const fromMs = uptimeMs();
      await rest(lastsMs, ends);
      const toMs = uptimeMs();
      periods.push({ host, fromMs, toMs });
      await set(host, false);
    }
  }
  const working = work().catch((error: unknown) => void errors.push(error));

  return {
    periods,
    async stop() {
      stopping.abort();
      await working;
      if (errors.length > 0 && !operators.closed.aborted) throw errors[0];
    },
  };
}
