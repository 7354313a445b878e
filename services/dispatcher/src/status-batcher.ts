import { create } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import type { ComponentStatus } from "@howdah/proto/howdah/v1/agent_service";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { HostComponentStatusSchema } from "@howdah/proto/howdah/v1/store_components";
import type { Logger } from "pino";
import { createAdaptiveBatcher } from "./adaptive-batcher.js";
import { maxStatuses, statusProblem } from "./component-status.js";
import type { Session } from "./session.js";

/** Passes what agents say about their components to the store. */
export interface StatusBatcher {
  /**
   * Takes what an agent says. Of what is not passed on, the newest word about each component counts.
   * @returns what is wrong with some of it, which is not passed on; undefined when nothing is
   */
  add(session: Session, statuses: readonly ComponentStatus[]): string | undefined;
  /** Components whose state is not at the store yet. */
  readonly pending: number;
}

/** How to make one. */
export interface StatusBatcherOptions {
  readonly store: Pick<Client<typeof CommandStoreService>, "recordComponentStatuses">;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** The state of one component of a session that is on its way to the store. */
interface Pending {
  readonly session: Session;
  readonly clusterId: bigint;
  readonly componentName: string;
  /** The newest word, also while an older one is under way. */
  state: ComponentState;
  sent: ComponentState | undefined;
}

/**
 * Makes it. What waits is bounded: one state for each component, 1,000 components for each session. While the store is away it is tried
 * again; what a session said that has ended is dropped, for the next one tells everything.
 */
export function createStatusBatcher({ store, signal, log }: StatusBatcherOptions): StatusBatcher {
  const waiting = new WeakMap<Session, Map<string, Pending>>();

  function forget(item: Pending): void {
    waiting.get(item.session)?.delete(nameOf(item));
  }

  const batcher = createAdaptiveBatcher<Pending, undefined>({
    name: "component statuses",
    maxRows: 1_000,
    maxBytes: 1 << 20,
    // Never less than it has on the wire.
    sizeOf: ({ componentName }) => 48 + componentName.length * 3,
    wanted: ({ session }) => session.current,
    async send(batch, sending) {
      const statuses = batch.map((item) => {
        item.sent = item.state;
        return toMessage(item);
      });
      await store.recordComponentStatuses({ statuses }, { signal: sending });
      return batch.map(() => undefined);
    },
    settled(item) {
      if (item.sent === item.state) forget(item);
      else batcher.add(item);
    },
    refused(item, error) {
      forget(item);
      const { hostName } = item.session.identity;
      const fields = { host: hostName, component: item.componentName, reason: error.rawMessage };
      log.warn(fields, "the store refused a component's status");
    },
    signal,
    log,
  });

  return {
    add(session, statuses) {
      if (statuses.length > maxStatuses) {
        return `statuses: ${statuses.length} components in one message, at most ${maxStatuses}`;
      }
      const ofSession = waiting.get(session) ?? new Map<string, Pending>();
      waiting.set(session, ofSession);
      let problem: string | undefined;
      for (const status of statuses) {
        const { clusterId, componentName, state } = status;
        const wrong = statusProblem(status);
        if (wrong !== undefined) {
          problem ??= wrong;
          continue;
        }
        const known = ofSession.get(nameOf(status));
        if (known !== undefined) known.state = state;
        else if (ofSession.size >= maxStatuses) {
          problem ??= `statuses: more than ${maxStatuses} components wait to be recorded`;
        } else {
          const item = { session, clusterId, componentName, state, sent: undefined };
          ofSession.set(nameOf(item), item);
          batcher.add(item);
        }
      }
      return problem;
    },
    get pending() {
      return batcher.pending;
    },
  };
}

function nameOf({ clusterId, componentName }: Pick<Pending, "clusterId" | "componentName">) {
  return `${clusterId}/${componentName}`;
}

function toMessage({ session, clusterId, componentName, state }: Pending) {
  const { hostId, epoch } = session.identity;
  return create(HostComponentStatusSchema, {
    ...{ hostId, sessionEpoch: epoch, clusterId, componentName, state },
  });
}
