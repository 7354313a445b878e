import type { Client } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import type { RpcTransport } from "@howdah/rpc/transport";
import type { Logger } from "pino";
import { claimRequests } from "./claim-requests.js";
import { Dispatchers, type DispatchersEvents } from "./dispatchers.js";
import { Engine, type EngineTimes } from "./engine/engine.js";
import { HostMonitor, type MonitorTimes } from "./presence/host-monitor.js";

/** What leading needs. */
export interface LeadOptions extends EngineTimes, MonitorTimes {
  readonly store: Client<typeof CommandStoreService>;
  readonly fleet: Client<typeof FleetService>;
  readonly log: Logger;
  /** Opens a connection to a dispatcher's address. */
  readonly connect: (address: string) => RpcTransport;
  /** How often the dispatchers' leases are looked at. Default 2,000. */
  readonly lookMs?: number;
}

/**
 * Leads for one turn: announces the token to the dispatchers, makes what is unfinished its own, reads it, drives it until the signal aborts. Rejects
 * with StaleOwnerError when another scheduler has taken over. All is closed when it settles.
 * @param started called with the engine, which takes in requests from then on
 */
export async function lead(
  options: LeadOptions,
  token: bigint,
  turn: AbortSignal,
  started: (engine: Engine) => void,
): Promise<void> {
  const dispatchers = new Dispatchers({ ...options, token });
  const engine = new Engine({
    ...options,
    token,
    enqueue: (dispatcher, commands) => dispatchers.enqueue(dispatcher, commands),
    cancel: (dispatcher, cancels) => dispatchers.cancel(dispatcher, cancels),
  });
  const over = new AbortController();
  const end = () => {
    over.abort();
    engine.stop();
  };
  turn.addEventListener("abort", end, { once: true });
  if (turn.aborted) end();
  const monitor = new HostMonitor({
    ...options,
    token,
    registerAgain: (dispatcher, sessions) =>
      dispatchers.registerAgain(dispatcher, sessions, "its host was lost"),
  });
  const following = dispatchers.follow(toldTo(engine, monitor), over.signal);
  let replaced: unknown;
  const monitoring = monitor.run(over.signal).catch((error: unknown) => {
    replaced = error;
    end();
  });
  try {
    started(engine);
    await dispatchers.announced;
    await claimRequests({ ...options, token }, over.signal);
    await engine.drive();
    if (replaced !== undefined) throw replaced;
  } finally {
    turn.removeEventListener("abort", end);
    end();
    await Promise.all([following, monitoring]);
  }
}

/** Tells both of sessions, the engine of the rest. */
function toldTo(engine: Engine, monitor: HostMonitor): DispatchersEvents {
  return {
    sessions(dispatcher, sessions) {
      engine.sessions(dispatcher, sessions);
      monitor.sessions(dispatcher, sessions);
    },
    outOfReach(dispatcher) {
      engine.outOfReach(dispatcher);
      monitor.outOfReach(dispatcher);
    },
    opened(dispatcher, session) {
      engine.opened(dispatcher, session);
      monitor.opened(dispatcher, session);
    },
    closed(hostId, epoch, silentMs) {
      engine.closed(hostId, epoch);
      monitor.closed(hostId, epoch, silentMs);
    },
    changed: (changes) => engine.changed(changes),
    undelivered: (taskIds) => engine.undelivered(taskIds),
    refused: (commands) => engine.refused(commands),
    superseded: () => engine.superseded(),
    storeHeard: (leases) => monitor.storeHeard(leases),
    storeAway: () => monitor.storeAway(),
  };
}
