import { randomBytes } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { DrainSchema } from "@howdah/proto/howdah/v1/agent_service";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { DispatcherService } from "@howdah/proto/howdah/v1/dispatcher_service";
import type { StackService } from "@howdah/proto/howdah/v1/stack_service";
import { SessionKeySchema } from "@howdah/proto/howdah/v1/store_sessions";
import type { Logger } from "pino";
import { type AgentCalls, type ConnectAgent, createAgentService } from "./agent-service.js";
import { createAlertBatcher } from "./alerts/alert-batcher.js";
import { createAlertExecutions } from "./alerts/alert-executions.js";
import { createDeliveries } from "./deliveries.js";
import { createDispatcherService } from "./dispatcher-service.js";
import { createHostStatusBatcher } from "./hosts/host-status-batcher.js";
import { keepLease, type LeaseKeeper } from "./lease.js";
import { createLimiter } from "./limiter.js";
import { createOpenSession } from "./open-session.js";
import { OpenStreams } from "./open-streams.js";
import { createPackageCache } from "./package-cache.js";
import type { ProbePeer } from "./probe-peer.js";
import { createReportBatcher } from "./report-batcher.js";
import { createSchedulerFence } from "./scheduler-token.js";
import { createSessionCloser } from "./session-closer.js";
import { SessionRegistry } from "./session-registry.js";
import { watchSilence } from "./silence.js";
import { createStatusBatcher } from "./status-batcher.js";
import { createAppendBatcher } from "./upload-output.js";

/** How to make a dispatcher. */
export interface DispatcherOptions {
  /** A stable name among dispatchers, at most 80 characters. */
  readonly instance: string;
  readonly store: Client<typeof CommandStoreService>;
  /** Takes output. Default: `store`. */
  readonly output?: Pick<Client<typeof CommandStoreService>, "appendOutput">;
  readonly stacks: Pick<Client<typeof StackService>, "readPackage">;
  readonly probePeer: ProbePeer;
  /** How often agents send a heartbeat. Default 60,000. */
  readonly heartbeatMs?: number;
  /** How many reports an agent may have under way. Default 100. */
  readonly maxUnackedReports?: number;
  /** How many bytes of an output stream are stored. Default 64 MiB. */
  readonly outputCap?: number;
  /** How many registrations are under way at the store, which opens together what comes together. Default 200. */
  readonly maxRegistrations?: number;
  /** Output that waits for the store. Default 64 MiB. */
  readonly maxAppendBytes?: number;
  /** How many packages are read from the store at once. Default 8. */
  readonly maxPackageReads?: number;
  /** How many packages are sent to agents at once; other fetches wait. Default 100. */
  readonly maxFetches?: number;
  /** What of packages is kept in memory. Default 64 MiB. */
  readonly packageCacheBytes?: number;
  /** How long a stream may be open without a session. Default 60,000. */
  readonly registerWithinMs?: number;
  /** After how long a session that only the store has is closed. Default 15,000. */
  readonly missingAfterMs?: number;
  /** The lease's duration and renewal. Default 6,000 and 2,000. */
  readonly leaseDurationMs?: number;
  readonly leaseRenewEveryMs?: number;
  /** Milliseconds since 1970. Default Date.now. */
  readonly wallMs?: () => number;
  readonly log: Logger;
}

/** A dispatcher without its servers. */
export interface Dispatcher {
  readonly agentService: AgentCalls;
  /** How the streams of agents are served, `AgentService.Connect`. */
  readonly connectAgent: ConnectAgent;
  readonly dispatcherService: ServiceImpl<typeof DispatcherService>;
  /**
   * Takes the lease and keeps it from here on; before that no agent can register.
   * @param address where other services reach this dispatcher
   * @param ready told whenever the lease is taken or lost
   */
  lead(address: string, ready: (held: boolean) => void): void;
  /**
   * Goes away in order: no new agents; the old ones are told to reconnect, each at another moment of the window; their
   * streams may end within the window and a second; reports and ended sessions reach the store; the lease is given back.
   * What cannot be done within `graceMs` is left to the agents' journals.
   */
  drain(windowMs: number, graceMs: number): Promise<void>;
}

const goingAway = "this dispatcher is going away; connect to another one";

/** Makes a dispatcher. It holds no state that its agents and the store could not give it again. */
export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { store, log } = options;
  const heartbeatMs = options.heartbeatMs ?? 60_000;
  const leaseName = `dispatcher/${options.instance}`;
  const stop = new AbortController();
  const { signal } = stop;
  const openStreams = new OpenStreams();
  let lease: LeaseKeeper | undefined;
  let draining = false;

  const deliveries = createDeliveries({ dispatcher: leaseName, sessions: () => registry.all() });
  const closer = createSessionCloser(store, signal, log);
  const executions = createAlertExecutions(() => registry);
  const registry = new SessionRegistry(
    {
      opened: (session) => deliveries.opened(session),
      closed(session, end, silentMs) {
        executions.gaveUp(session, "its session ended before the result was stored");
        deliveries.closed(session, silentMs);
        // The store knows of one that was replaced from the session that took its place.
        if (end !== "replaced") closer.add(session.key);
      },
    },
    log,
  );
  const openSession = createOpenSession({
    store,
    registry,
    limiter: createLimiter(options.maxRegistrations ?? 200),
    probePeer: options.probePeer,
    lease: {
      name: leaseName,
      get token() {
        return lease?.token;
      },
    },
  });

  /** Closes a session that the store has as ours, once no registration can be under way any more that it belongs to. */
  function missing(hostId: bigint, sessionEpoch: bigint): void {
    setTimeout(() => {
      if (signal.aborted || registry.find(hostId, sessionEpoch) !== undefined) return;
      closer.add(create(SessionKeySchema, { hostId, sessionEpoch }));
    }, options.missingAfterMs ?? 15_000).unref();
  }

  watchSilence(registry, heartbeatMs, signal);

  async function drain(windowMs: number, graceMs: number): Promise<void> {
    const endsAt = performance.now() + graceMs;
    const within = (ms: number) =>
      AbortSignal.timeout(Math.max(0, Math.floor(Math.min(ms, endsAt - performance.now()))));
    draining = true;
    for (const { outbox } of openStreams.unregistered()) {
      outbox.end(new ConnectError(goingAway, Code.Unavailable));
    }
    for (const session of registry.all()) {
      const reconnectAfterMs = Math.floor(Math.random() * windowMs);
      session.outbox.say({ case: "drain", value: create(DrainSchema, { reconnectAfterMs }) });
    }
    await openStreams.none(within(Math.min(windowMs + 1_000, graceMs / 2)));
    await reports.flushed(within(graceMs));
    for (const session of registry.all()) session.drop(goingAway, Code.Unavailable);
    await openStreams.none(within(500));
    await closer.flushed(within(graceMs));
    await lease?.release();
    if (reports.pending + closer.pending > 0) {
      const left = { reports: reports.pending, endedSessions: closer.pending };
      log.warn(left, "stopped before the store took everything; the agents report it again");
    }
    stop.abort(new ConnectError("the dispatcher has stopped", Code.Unavailable));
  }

  const reports = createReportBatcher({
    store,
    changed: (changes) => deliveries.changed(changes),
    signal,
    log,
  });

  const agents = createAgentService({
    ...{ registry, openSession, executions, reports, openStreams, heartbeatMs, log },
    statuses: createStatusBatcher({ store, signal, log }),
    alerts: createAlertBatcher({ store, executions, signal, log }),
    hostStatuses: createHostStatusBatcher({ store, signal, log }),
    wallMs: options.wallMs ?? Date.now,
    maxUnackedReports: options.maxUnackedReports ?? 100,
    outputCap: BigInt(options.outputCap ?? 64 << 20),
    registerWithinMs: options.registerWithinMs ?? 60_000,
    appends: createAppendBatcher(options.output ?? store, signal, log),
    maxAppendBytes: options.maxAppendBytes ?? 64 << 20,
    fetches: createLimiter(options.maxFetches ?? 100),
    packages: createPackageCache({
      async *load(digest, reading) {
        const pieces = options.stacks.readPackage(
          { digest },
          { signal: reading, timeoutMs: 300_000 },
        );
        for await (const { data } of pieces) yield data;
      },
      maxBytes: options.packageCacheBytes ?? 64 << 20,
      limiter: createLimiter(options.maxPackageReads ?? 8),
      log,
    }),
    closedBecause: () => (draining ? goingAway : undefined),
  });

  return {
    agentService: agents.calls,
    connectAgent: agents.connect,
    dispatcherService: createDispatcherService({
      ...{ registry, deliveries, missing, executions },
      fence: createSchedulerFence((token) => deliveries.fence(token)),
      draining: () => draining,
    }),
    lead(address, ready) {
      lease = keepLease({
        ...{ store, address, log },
        name: leaseName,
        holder: `${options.instance}/${randomBytes(6).toString("hex")}`,
        durationMs: options.leaseDurationMs ?? 6_000,
        renewEveryMs: options.leaseRenewEveryMs ?? 2_000,
        acquired: () => ready(true),
        lost() {
          ready(false);
          for (const session of registry.all()) {
            session.drop("another dispatcher took this one's name", Code.Unavailable);
          }
        },
      });
    },
    drain,
  };
}
