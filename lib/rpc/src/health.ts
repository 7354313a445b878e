import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import {
  type Health,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as Status,
} from "@howdah/proto/grpc/health/v1/health";

/** What a server says about itself and its services under grpc.health.v1. The service "" is the whole server. */
export interface HealthState {
  /** Sets whether a service ("" for the whole server) is ready; watchers are told when that changes. */
  set(service: string, ready: boolean): void;
  /** Sets all services that are known, "" among them. */
  setAll(ready: boolean): void;
  /** Whether a service is ready; undefined for one that is not known. */
  get(service: string): boolean | undefined;
}

/** Makes the state and the `grpc.health.v1.Health` service that shows it: Check, List and Watch. */
export function createHealth(): { state: HealthState; impl: ServiceImpl<typeof Health> } {
  const ready = new Map<string, boolean>([["", false]]);
  const watchers = new Map<string, Set<() => void>>();

  const statusOf = (value: boolean) => (value ? Status.SERVING : Status.NOT_SERVING);
  const status = (service: string) => {
    const value = ready.get(service);
    return value === undefined ? undefined : statusOf(value);
  };

  function set(service: string, value: boolean): void {
    if (ready.get(service) === value) return;
    ready.set(service, value);
    for (const wake of watchers.get(service) ?? []) wake();
  }

  async function* watch({ service }: { service: string }, { signal }: HandlerContext) {
    const waiting = watchers.get(service) ?? new Set();
    watchers.set(service, waiting);
    let wake = () => {};
    const listener = () => wake();
    waiting.add(listener);
    signal.addEventListener("abort", listener);
    try {
      let told: Status | undefined;
      while (!signal.aborted) {
        const changed = new Promise<void>((resolve) => {
          wake = resolve;
        });
        const now = status(service) ?? Status.SERVICE_UNKNOWN;
        if (now === told) {
          await changed;
          continue;
        }
        told = now;
        yield { status: now };
      }
    } finally {
      signal.removeEventListener("abort", listener);
      waiting.delete(listener);
      if (waiting.size === 0) watchers.delete(service);
    }
  }

  return {
    state: {
      set,
      setAll(value) {
        for (const service of ready.keys()) set(service, value);
      },
      get: (service) => ready.get(service),
    },
    impl: {
      check({ service }) {
        const now = status(service);
        if (now === undefined) {
          throw new ConnectError(`there is no service "${service}" here`, Code.NotFound);
        }
        return { status: now };
      },
      list: () => ({
        statuses: Object.fromEntries(
          Array.from(ready, ([service, value]) => [
            service,
            create(HealthCheckResponseSchema, { status: statusOf(value) }),
          ]),
        ),
      }),
      watch,
    },
  };
}
