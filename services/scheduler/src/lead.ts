import type { Client } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import type { RpcTransport } from "@howdah/rpc/transport";
import type { Logger } from "pino";
import { AlertWatch, type AlertWatchTimes } from "./alerts/alert-watch.js";
import { claimRequests } from "./claim-requests.js";
import { Dispatchers, type DispatchersEvents } from "./dispatchers.js";
import type { DispatcherEvents, SessionEvents } from "./engine/dispatcher-link.js";
import { Engine } from "./engine/engine.js";
import type { EngineTimes } from "./engine/engine-options.js";
import { readHostsInMaintenance } from "./maintenance-input.js";
import { HostMonitor, type MonitorTimes } from "./presence/host-monitor.js";
import type { StackCache } from "./stack-cache.js";
import { StatusChecks, type StatusCheckTimes } from "./status-checks.js";

/** What leading needs. */
export interface LeadOptions extends EngineTimes, MonitorTimes, StatusCheckTimes, AlertWatchTimes {
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
 * @param started called with the engine, which takes in requests from then on, and with what runs alerts
 */
export async function lead(
  options: LeadOptions,
  token: bigint,
  turn: AbortSignal,
  started: (engine: Engine, alerts: AlertWatch) => void,
): Promise<void> {
  const dispatchers = new Dispatchers({ ...options, token });
  const engine = new Engine({
    ...options,
    token,
    awayOf: (hostId) => monitor.awayOf(hostId),
    requestOver: () => checks.changed(),
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
  const alerts = new AlertWatch({
    ...options,
    token,
    send: (dispatcher, batch) => dispatchers.sendAlertDefinitions(dispatcher, batch),
    execute: (dispatcher, request, signal) => dispatchers.executeAlert(dispatcher, request, signal),
  });
  const sessions = [engine.told, monitor, checks.places, alerts.places];
  const following = dispatchers.follow(toldTo(engine.told, monitor, sessions), over.signal);
  const checking = checks.run(over.signal);
  const watching = alerts.run(over.signal);
  let replaced: unknown;
  const monitoring = monitor.run(over.signal).catch((error: unknown) => {
    replaced = error;
    end();
  });
  try {
    started(engine, alerts);
    await dispatchers.announced;
    alerts.sessionsTold();
    await claimRequests({ ...options, token }, over.signal);
    await engine.drive();
    if (replaced !== undefined) throw replaced;
  } finally {
    turn.removeEventListener("abort", end);
    end();
    await Promise.all([following, monitoring, checking, watching]);
  }
}

/** Tells all of sessions, the engine of the rest. */
function toldTo(
  engine: DispatcherEvents,
  monitor: HostMonitor,
  all: readonly SessionEvents[],
): DispatchersEvents {
  return {
    sessions(dispatcher, sessions) {
      for (const each of all) each.sessions(dispatcher, sessions);
    },
    outOfReach(dispatcher) {
      for (const each of all) each.outOfReach(dispatcher);
    },
    opened(dispatcher, session) {
      for (const each of all) each.opened(dispatcher, session);
    },
    closed(hostId, epoch, silentMs) {
      for (const each of all) each.closed(hostId, epoch, silentMs);
    },
    changed: (changes) => engine.changed(changes),
    undelivered: (taskIds) => engine.undelivered(taskIds),
    refused: (commands) => engine.refused(commands),
    superseded: () => engine.superseded(),
    storeHeard: (leases) => monitor.storeHeard(leases),
    storeAway: () => monitor.storeAway(),
  };
}
