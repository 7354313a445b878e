import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  SessionClosedSchema,
  SessionListSchema,
  TaskChangesSchema,
  type WatchDeliveriesResponse,
  WatchDeliveriesResponseSchema,
} from "@howdah/proto/howdah/v1/dispatcher_service";
import type { TaskChange } from "@howdah/proto/howdah/v1/task_change";
import type { Session } from "./session.js";

type DeliveryEvent = Extract<WatchDeliveriesResponse["event"], { value: unknown }>;

/** Tells subscribers what happens here. */
export interface Deliveries {
  opened(session: Session): void;
  /** A session ended; its agent was last known to be there so long ago. */
  closed(session: Session, silentMs: number): void;
  changed(changes: TaskChange[]): void;
  /** Ends the subscriptions of schedulers whose token is lower. */
  fence(token: bigint): void;
  /** All sessions first, then what happens, until the signal aborts. */
  watch(token: bigint, signal: AbortSignal): AsyncGenerator<WatchDeliveriesResponse>;
}

/** How to make it. */
export interface DeliveriesOptions {
  /** The dispatcher's lease name. */
  readonly dispatcher: string;
  /** All sessions now. */
  sessions(): Session[];
  /** How many sessions and changes may wait for a subscriber before it is sent away. Default 100,000. */
  readonly maxWaiting?: number;
}

/** Sessions in the first message; the rest follow as opened ones, so that no message is too large. */
const maxListed = 10_000;

interface Subscriber {
  readonly token: bigint;
  push(event: DeliveryEvent, weight: number): void;
  fail(error: ConnectError): void;
}

/** Makes the hub of WatchDeliveries. A subscriber that does not keep up is sent away: it watches again and starts afresh. */
export function createDeliveries(options: DeliveriesOptions): Deliveries {
  const { dispatcher, maxWaiting = 100_000 } = options;
  const subscribers = new Set<Subscriber>();

  function publish(event: DeliveryEvent, weight = 1): void {
    for (const subscriber of subscribers) subscriber.push(event, weight);
  }

  async function* watch(token: bigint, signal: AbortSignal) {
    let waiting: { event: DeliveryEvent; weight: number }[] = [];
    let weightWaiting = 0;
    let failure: unknown;
    let wake = () => {};
    const subscriber: Subscriber = {
      token,
      push(event, weight) {
        weightWaiting += weight;
        if (weightWaiting > maxWaiting) {
          waiting = [];
          subscriber.fail(
            new ConnectError(
              `more than ${maxWaiting} events wait for this watcher: watch again`,
              Code.ResourceExhausted,
            ),
          );
          return;
        }
        waiting.push({ event, weight });
        wake();
      },
      fail(error) {
        failure ??= error;
        subscribers.delete(subscriber);
        wake();
      },
    };
    const aborted = () => {
      failure ??= signal.reason;
      wake();
    };
    signal.addEventListener("abort", aborted);
    if (signal.aborted) aborted();
    subscribers.add(subscriber);
    try {
      const all = options.sessions().map((session) => session.toMessage());
      const value = create(SessionListSchema, { dispatcher, sessions: all.splice(0, maxListed) });
      yield create(WatchDeliveriesResponseSchema, { event: { case: "sessions", value } });
      for (const session of all) {
        yield create(WatchDeliveriesResponseSchema, { event: { case: "opened", value: session } });
      }
      while (failure === undefined) {
        const batch = waiting;
        waiting = [];
        for (const { event, weight } of batch) {
          if (failure !== undefined) break;
          yield create(WatchDeliveriesResponseSchema, { event });
          weightWaiting -= weight;
        }
        if (waiting.length > 0 || failure !== undefined) continue;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      throw failure;
    } finally {
      subscribers.delete(subscriber);
      signal.removeEventListener("abort", aborted);
    }
  }

  return {
    opened: (session) => publish({ case: "opened", value: session.toMessage() }),
    closed({ key: { hostId, sessionEpoch } }, silentMs) {
      const value = create(SessionClosedSchema, {
        ...{ hostId, sessionEpoch, silentMs: BigInt(silentMs) },
      });
      publish({ case: "closed", value });
    },
    changed(changes) {
      if (subscribers.size === 0) return;
      publish({ case: "changes", value: create(TaskChangesSchema, { changes }) }, changes.length);
    },
    fence(token) {
      for (const subscriber of subscribers) {
        if (subscriber.token < token) {
          subscriber.fail(
            new ConnectError(
              `a newer scheduler with token ${token} is active`,
              Code.FailedPrecondition,
            ),
          );
        }
      }
    },
    watch,
  };
}
