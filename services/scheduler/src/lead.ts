import type { Client } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import type { RpcTransport } from "@howdah/rpc/transport";
import type { Logger } from "pino";
import { claimRequests } from "./claim-requests.js";
import { Dispatchers, type DispatchersEvents } from "./dispatchers.js";
import { Engine } from "./engine/engine.js";
import type { EngineTimes } from "./engine/engine-options.js";
import { readHostsInMaintenance } from "./maintenance-input.js";
import { HostMonitor, type MonitorTimes } from "./presence/host-monitor.js";
import type { StackCache } from "./stack-cache.js";
import { StatusChecks, type StatusCheckTimes } from "./status-checks.js";

/** What leading needs. */
export interface LeadOptions extends EngineTimes, MonitorTimes, StatusCheckTimes {
  readonly store: Client<typeof CommandStoreService>;
  readonly fleet: Client<typeof FleetService>;
  readonly stacks: StackCache;
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
    awayOf: (hostId) => monitor.awayOf(hostId),
    readMaintenance: (signal) => readHostsInMaintenance(options.fleet, signal),
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
  const checks = new StatusChecks({
    ...options,
    send: (dispatcher, batch) => dispatchers.checkStatuses(dispatcher, batch),
  });
  const following = dispatchers.follow(toldTo(engine, monitor, checks), over.signal);
  const checking = checks.run(over.signal);
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
    await Promise.all([following, monitoring, checking]);
  }
}

/** Tells all of sessions, the engine of the rest. */
function toldTo(engine: Engine, monitor: HostMonitor, checks: StatusChecks): DispatchersEvents {
  return {
    sessions(dispatcher, sessions) {
      engine.sessions(dispatcher, sessions);
      monitor.sessions(dispatcher, sessions);
      checks.sessions(dispatcher, sessions);
    },
    outOfReach(dispatcher) {
      engine.outOfReach(dispatcher);
      monitor.outOfReach(dispatcher);
      checks.outOfReach(dispatcher);
    },
    opened(dispatcher, session) {
      engine.opened(dispatcher, session);
      monitor.opened(dispatcher, session);
      checks.opened(dispatcher, session);
    },
    closed(hostId, epoch, silentMs) {
      engine.closed(hostId, epoch);
      monitor.closed(hostId, epoch, silentMs);
      checks.closed(hostId, epoch);
    },
    changed: (changes) => engine.changed(changes),
    undelivered: (taskIds) => engine.undelivered(taskIds),
    refused: (commands) => engine.refused(commands),
    superseded: () => engine.superseded(),
    storeHeard: (leases) => monitor.storeHeard(leases),
    storeAway: () => monitor.storeAway(),
  };
}
