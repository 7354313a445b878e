import type { Client } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { SessionKey } from "@howdah/proto/howdah/v1/store_sessions";
import type { Logger } from "pino";
import { type AdaptiveBatcher, createAdaptiveBatcher } from "./adaptive-batcher.js";

/**
 * Makes what tells the store of ended sessions, many at once, again and again while it is away. The store closes a session
 * only if it is still its host's current one.
 */
export function createSessionCloser(
  store: Pick<Client<typeof CommandStoreService>, "closeSessions">,
  signal: AbortSignal,
  log: Logger,
): AdaptiveBatcher<SessionKey> {
  return createAdaptiveBatcher<SessionKey, undefined>({
    name: "ended sessions",
    maxRows: 1_000,
    maxBytes: 1 << 20,
    sizeOf: () => 20,
    async send(sessions, sending) {
      await store.closeSessions({ sessions }, { signal: sending, timeoutMs: 10_000 });
      return sessions.map(() => undefined);
    },
    settled() {},
    refused(session, error) {
      log.error(
        { err: error, hostId: String(session.hostId) },
        "the store refused to close a session",
      );
    },
    signal,
    log,
  });
}
