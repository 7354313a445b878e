import { setTimeout as sleep } from "node:timers/promises";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import { RequestService } from "@howdah/proto/howdah/v1/request_service";
import { StackService } from "@howdah/proto/howdah/v1/stack_service";

/** What an operator calls, at one of the gateways. */
export interface Door {
  readonly requests: Client<typeof RequestService>;
  readonly store: Client<typeof CommandStoreService>;
  readonly fleet: Client<typeof FleetService>;
  readonly stacks: Client<typeof StackService>;
}

/** The doors of several gateways. */
export interface Operators {
  /** The next door in turn. */
  door(): Door;
  /**
   * Calls at one door after the other until one answers, with a result or for good; rejects with that answer, or with the last one
   * when the signal aborts or the time is up.
   */
  insist<T>(call: (door: Door) => Promise<T>, options?: InsistOptions): Promise<T>;
}

export interface InsistOptions {
  readonly signal?: AbortSignal;
  /** Default 60,000. */
  readonly withinMs?: number;
}

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
  const doors = addresses.map((address): Door => {
    const transport = createConnectTransport({
      baseUrl: `http://${address}`,
      httpVersion: "2",
      defaultTimeoutMs: callTimeoutMs,
      pingIntervalMs: 2_000,
      pingTimeoutMs: 2_000,
    });
    return {
      requests: createClient(RequestService, transport),
      store: createClient(CommandStoreService, transport),
      fleet: createClient(FleetService, transport),
      stacks: createClient(StackService, transport),
    };
  });
  let turn = 0;
  const door = () => {
    turn += 1;
    return doors[turn % doors.length] as Door;
  };
  return {
    door,
    async insist(call, { signal, withinMs = 60_000 } = {}) {
      const deadline = performance.now() + withinMs;
      for (;;) {
        try {
          return await call(door());
        } catch (error) {
          if (isRefusal(error) || signal?.aborted || performance.now() > deadline) throw error;
          await sleep(200);
        }
      }
    },
  };
}
