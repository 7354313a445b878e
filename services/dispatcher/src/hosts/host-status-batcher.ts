import { create } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import type { HostStatusReport } from "@howdah/proto/howdah/v1/agent_service";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { HostStatusSchema } from "@howdah/proto/howdah/v1/store_hosts";
import type { Logger } from "pino";
import { createAdaptiveBatcher } from "../adaptive-batcher.js";
import { isJsonObject } from "../registration.js";
import type { Session } from "../session.js";

/** Passes to the store how agents say that their hosts are. */
export interface HostStatusBatcher {
  /**
   * Takes what an agent says of its host. Of what is not passed on, the newest word counts.
   * @returns what is wrong with it, then it is not passed on; undefined when nothing is
   */
  add(session: Session, said: HostStatusReport): string | undefined;
  /** Hosts whose status is not at the store yet. */
  readonly pending: number;
}

/** How to make one. */
export interface HostStatusBatcherOptions {
  readonly store: Pick<Client<typeof CommandStoreService>, "recordHostStatuses">;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

interface Pending {
  readonly session: Session;
  /** The newest word, also while an older one is under way. */
  said: HostStatusReport;
  sent: HostStatusReport | undefined;
}

const maxJsonBytes = 32 << 10;
const maxProblems = 20;
const maxProblemLength = 1_000;

/**
 * Makes it. One word waits for each session. While the store is away it is tried again; what a session said that has ended is dropped,
 * for the next one tells it again.
 */
export function createHostStatusBatcher(options: HostStatusBatcherOptions): HostStatusBatcher {
  const { store, signal, log } = options;
  const waiting = new WeakMap<Session, Pending>();

  const batcher = createAdaptiveBatcher<Pending, undefined>({
    name: "host statuses",
    maxRows: 500,
    maxBytes: 1 << 20,
    // The most it can have, so that a newer word changes no sum.
    sizeOf: () => maxJsonBytes,
    wanted: ({ session }) => session.current,
    async send(batch, sending) {
      const statuses = batch.map((item) => {
        item.sent = item.said;
        const { statusJson, problems } = item.said;
        return create(HostStatusSchema, { session: item.session.key, statusJson, problems });
      });
      await store.recordHostStatuses({ statuses }, { signal: sending });
      return batch.map(() => undefined);
    },
    settled(item) {
      if (item.sent === item.said) waiting.delete(item.session);
      else batcher.add(item);
    },
    refused(item, error) {
      waiting.delete(item.session);
      const { hostName } = item.session.identity;
      log.warn({ host: hostName, reason: error.rawMessage }, "the store refused a host's status");
    },
    signal,
    log,
  });

  return {
    add(session, said) {
      const problem = problemOf(said);
      if (problem !== undefined) return problem;
      const known = waiting.get(session);
      if (known !== undefined) known.said = said;
      else {
        const item = { session, said, sent: undefined };
        waiting.set(session, item);
        batcher.add(item);
      }
      return undefined;
    },
    get pending() {
      return batcher.pending;
    },
  };
}

function problemOf({ statusJson, problems }: HostStatusReport): string | undefined {
  const bytes = Buffer.byteLength(statusJson);
  if (bytes > maxJsonBytes) return `status_json: ${bytes} bytes, at most ${maxJsonBytes}`;
  if (!isJsonObject(statusJson)) {
    return `status_json: it is no JSON object: "${statusJson.slice(0, 40)}"`;
  }
  if (problems.length > maxProblems) {
    return `problems: ${problems.length} in one message, at most ${maxProblems}`;
  }
  if (problems.some((text) => text.length > maxProblemLength)) {
    return `problems: one has more than ${maxProblemLength} characters`;
  }
  return undefined;
}
