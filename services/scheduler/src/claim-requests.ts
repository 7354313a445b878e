import { setTimeout as sleep } from "node:timers/promises";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { Logger } from "pino";
import { awayCodes } from "./engine/record-batch.js";
import { StaleOwnerError } from "./engine/recorder.js";

/** What claiming needs. */
export interface ClaimOptions {
  readonly store: Client<typeof CommandStoreService>;
  readonly log: Logger;
  readonly token: bigint;
}

const requestsPerCall = 500;
const retryMs = 200;
const maxRetryMs = 2_000;

/**
 * Makes every request that is not over this scheduler's own, before anything of it is read: from then on a former leader that does not
 * know that it was replaced can write nothing about them, and what it wrote before is read. Tries on while the store is away, until the
 * signal aborts. Throws StaleOwnerError when another scheduler owns one already.
 */
export async function claimRequests(
  { store, log, token }: ClaimOptions,
  signal: AbortSignal,
): Promise<void> {
  for (let pauseMs = retryMs; !signal.aborted; pauseMs = Math.min(pauseMs * 2, maxRetryMs)) {
    try {
      await claimAll(store, token, log, signal);
      return;
    } catch (error) {
      if (error instanceof StaleOwnerError) throw error;
      if (signal.aborted) return;
      log.warn(`cannot take requests over, trying on: ${ConnectError.from(error).rawMessage}`);
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

async function claimAll(
  store: Client<typeof CommandStoreService>,
  token: bigint,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const { requests } = await store.listUnfinished({}, { signal });
  const others = requests.filter(({ ownerToken }) => ownerToken !== token);
  const claim = async (requestIds: readonly bigint[]): Promise<void> => {
    try {
      const parts = requestIds.map((requestId) => ({ requestId }));
      const { results } = await store.recordTransitions(
        { schedulerToken: token, requests: parts },
        { signal },
      );
      const lost = results.find(({ staleOwner }) => staleOwner);
      if (lost === undefined) return;
      throw new StaleOwnerError(`another scheduler owns request ${lost.requestId}`);
    } catch (error) {
      if (error instanceof StaleOwnerError || signal.aborted) throw error;
      const { code, rawMessage } = ConnectError.from(error);
      if (awayCodes.has(code)) throw error;
      const middle = Math.ceil(requestIds.length / 2);
      if (requestIds.length > 1) {
        await claim(requestIds.slice(0, middle));
        await claim(requestIds.slice(middle));
        return;
      }
      // It holds up no other. What is recorded of it later is refused likewise, or makes it this scheduler's own.
      log.error(
        { request: requestIds[0], code: Code[code] },
        `the store refuses to let request ${requestIds[0]} be taken over: ${rawMessage}`,
      );
    }
  };
  const ids = others.map(({ requestId }) => requestId);
  for (let from = 0; from < ids.length; from += requestsPerCall) {
    await claim(ids.slice(from, from + requestsPerCall));
  }
}
