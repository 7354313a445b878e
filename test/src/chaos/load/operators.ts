import { setMaxListeners } from "node:events";
import {
  type Client,
  Code,
  ConnectError,
  createClient,
  type Interceptor,
} from "@connectrpc/connect";
import { createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { AlertRunService } from "@howdah/proto/howdah/v1/alert_service";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import { RequestService } from "@howdah/proto/howdah/v1/request_service";
import { ScheduleService } from "@howdah/proto/howdah/v1/schedule_service";
import { StackService } from "@howdah/proto/howdah/v1/stack_service";
import { rest } from "../rest.js";

/** What an operator calls, at one of the gateways. */
export interface Door {
  readonly requests: Client<typeof RequestService>;
  readonly store: Client<typeof CommandStoreService>;
  readonly fleet: Client<typeof FleetService>;
  readonly stacks: Client<typeof StackService>;
  readonly schedules: Client<typeof ScheduleService>;
  readonly alertRuns: Client<typeof AlertRunService>;
}

/** The doors of several gateways. */
export interface Operators {
  /** The next door in turn. */
  door(): Door;
  /**
   * Calls at one door after the other until one answers, with a result or for good; rejects with that answer, or with the last one
   * when the doors are closed or a minute is up.
   */
  insist<T>(call: (door: Door) => Promise<T>): Promise<T>;
  /** Aborted when the doors are closed. */
  readonly closed: AbortSignal;
  /** Ends all calls and connections. */
  close(): void;
}

const insistMs = 60_000;

/** How long a single call may take. */
export const callTimeoutMs = 8_000;

/** Codes that say nothing about what became of the call. */
const saysNothing = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Canceled,
  Code.Aborted,
  Code.Unknown,
  Code.Internal,
  Code.ResourceExhausted,
]);

/** Whether an error is an answer for good. */
export function isRefusal(error: unknown): boolean {
  return !saysNothing.has(ConnectError.from(error).code);
}

/** Makes the doors. @param addresses "host:port" of the gateways */
export function openDoors(addresses: readonly string[]): Operators {
  const closing = new AbortController();
  setMaxListeners(0, closing.signal); // one for each who waits
  const untilClosed: Interceptor = (next) => (request) =>
    next({ ...request, signal: AbortSignal.any([request.signal, closing.signal]) });
  const connections: Http2SessionManager[] = [];
  const doors = addresses.map((address): Door => {
    const baseUrl = `http://${address}`;
    const pings = { pingIntervalMs: 2_000, pingTimeoutMs: 2_000 };
    const sessionManager = new Http2SessionManager(baseUrl, pings);
    connections.push(sessionManager);
    const transport = createConnectTransport({
      ...{ baseUrl, httpVersion: "2", sessionManager, defaultTimeoutMs: callTimeoutMs },
      interceptors: [untilClosed],
    });
    return {
      requests: createClient(RequestService, transport),
      store: createClient(CommandStoreService, transport),
      fleet: createClient(FleetService, transport),
      stacks: createClient(StackService, transport),
      schedules: createClient(ScheduleService, transport),
      alertRuns: createClient(AlertRunService, transport),
    };
  });
  let turn = 0;
  const door = () => {
    turn += 1;
    return doors[turn % doors.length] as Door;
  };
  return {
    door,
    closed: closing.signal,
    async insist(call) {
      const deadline = performance.now() + insistMs;
      for (;;) {
        try {
          return await call(door());
        } catch (error) {
          const late = closing.signal.aborted || performance.now() > deadline;
          if (isRefusal(error) || late) throw error;
          await rest(200, closing.signal);
        }
      }
    },
    close() {
      closing.abort(new Error("the doors are closed"));
      for (const connection of connections) connection.abort();
    },
  };
}
