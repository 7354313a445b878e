import { setTimeout as sleep } from "node:timers/promises";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { RequestTransitionsResult } from "@howdah/proto/howdah/v1/store_transitions";
import type { Logger } from "pino";
import type { Batch, BatchPart } from "./batch.js";

/** What recording needs. */
export interface RecordOptions {
  readonly store: Client<typeof CommandStoreService>;
  readonly token: bigint;
  readonly log: Logger;
}

/** What became of a batch, in as many pieces as it took. Not called any more once the signal aborts. */
export interface Recorded {
  /** It was recorded. */
  recorded(batch: Batch, results: readonly RequestTransitionsResult[]): void;
  /** The store refuses what is asked about one request; the others of the batch are told of by themselves. */
  refused(part: BatchPart, error: ConnectError): void;
}

const retryMs = 200;
const maxRetryMs = 2_000;
/** The store is away, or this scheduler is not let in: nothing is wrong with what is asked. */
export const awayCodes: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Aborted,
  Code.Canceled,
  Code.Unauthenticated,
  Code.PermissionDenied,
]);

/**
 * Records a batch, however long the store is away: a repeat of the call does no harm and brings the same answer. What the store refuses
 * is divided until the one request is found that it is about, so that it holds up no other.
 */
export async function recordBatch(
  options: RecordOptions,
  batch: Batch,
  signal: AbortSignal,
  told: Recorded,
): Promise<void> {
  const { store, token, log } = options;
  const message = batch.message(token);
  for (let pauseMs = retryMs; !signal.aborted; pauseMs *= 2) {
    let results: RequestTransitionsResult[];
    try {
      ({ results } = await store.recordTransitions(message, { signal }));
    } catch (error) {
      if (signal.aborted) return;
      const failure = ConnectError.from(error);
      const { code, rawMessage } = failure;
      if (!awayCodes.has(code)) {
        await recordParts(options, batch, signal, told, failure);
        return;
      }
      log.warn({ code: Code[code] }, `cannot record, will try again: ${rawMessage}`);
      await sleep(Math.min(pauseMs, maxRetryMs), undefined, { signal }).catch(() => undefined);
      continue;
    }
    told.recorded(batch, results);
    return;
  }
}

async function recordParts(
  options: RecordOptions,
  batch: Batch,
  signal: AbortSignal,
  told: Recorded,
  failure: ConnectError,
): Promise<void> {
  // The commands in the answer may be more than a message holds, of one request too, and were committed all the same.
  const tooMuch = failure.code === Code.ResourceExhausted ? batch.halves() : undefined;
  const halves = tooMuch ?? batch.parted();
  if (halves === undefined) {
    for (const part of batch.entries) told.refused(part, failure);
    return;
  }
  for (const half of halves) await recordBatch(options, half, signal, told);
}
