import { setTimeout as sleep } from "node:timers/promises";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type {
  CommandStoreService,
  RequestTransitionsResult,
} from "@howdah/proto/howdah/v1/command_store_service";
import type { Logger } from "pino";
import type { Batch } from "./batch.js";

/** What recording needs. */
export interface RecordOptions {
  readonly store: Client<typeof CommandStoreService>;
  readonly token: bigint;
  readonly log: Logger;
}

const retryMs = 200;
const maxRetryMs = 2_000;

/**
 * Records a batch, however long the store is away: a repeat of the call does no harm and brings the same answer. What cannot be
 * answered with one message is recorded with two.
 * @param recorded called with each part that was recorded, in order; not any more once the signal aborts
 */
export async function recordBatch(
  options: RecordOptions,
  batch: Batch,
  signal: AbortSignal,
  recorded: (batch: Batch, results: readonly RequestTransitionsResult[]) => void,
): Promise<void> {
  const { store, token, log } = options;
  const message = batch.message(token);
  for (let pauseMs = retryMs; !signal.aborted; pauseMs *= 2) {
    let results: RequestTransitionsResult[];
    try {
      ({ results } = await store.recordTransitions(message, { signal }));
    } catch (error) {
      if (signal.aborted) return;
      const { code, rawMessage } = ConnectError.from(error);
      // The commands in the answer may be more than a message holds, and were committed all the same.
      const halves = code === Code.ResourceExhausted ? batch.halves() : undefined;
      if (halves !== undefined) {
        for (const half of halves) await recordBatch(options, half, signal, recorded);
        return;
      }
      log.warn({ code: Code[code] }, `cannot record, will try again: ${rawMessage}`);
      await sleep(Math.min(pauseMs, maxRetryMs), undefined, { signal }).catch(() => undefined);
      continue;
    }
    recorded(batch, results);
    return;
  }
}
