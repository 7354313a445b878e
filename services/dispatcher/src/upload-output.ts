import { create } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import {
  type UploadOutputRequest,
  UploadOutputResponseSchema,
} from "@howdah/proto/howdah/v1/agent_service";
import { type OutputChunk, OutputStream } from "@howdah/proto/howdah/v1/command";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import {
  type AppendResult,
  AppendResultSchema,
  type OutputAppend,
  OutputAppendSchema,
} from "@howdah/proto/howdah/v1/store_output";
import type { SessionKey } from "@howdah/proto/howdah/v1/store_sessions";
import type { Logger } from "pino";
import { type AdaptiveBatcher, createAdaptiveBatcher } from "./adaptive-batcher.js";
import { encodeAppends } from "./encode-appends.js";
import type { SessionRegistry } from "./session-registry.js";

/** What uploads need. */
export interface UploadOutputParts {
  readonly registry: SessionRegistry;
  readonly appends: AdaptiveBatcher<PendingAppend>;
  /** Above so many bytes that the store has not taken no upload is read; each stream may hold one piece beyond it. */
  readonly maxAppendBytes: number;
}

/** Output on its way to the store. */
export interface PendingAppend {
  readonly append: OutputAppend;
  settle(result: AppendResult): void;
}

const maxChunkBytes = 256 << 10;
/** Four of the largest pieces fit. */
const maxBatchBytes = 1 << 20;
/** What an append has besides its bytes, at most. */
const appendOverheadBytes = 64;
const maxBatchRows = 1_000;
const spareBytes = maxBatchBytes + maxBatchRows * appendOverheadBytes;
/** So many calls are under way while there is enough for full ones: what one of them waits for, the others use. */
const batchesAtOnce = 3;

/**
 * Makes what appends output at the store, that of many agents in one call. Calls overtake each other; what goes to one stream does not, since
 * an agent sends the next piece of it when the last one is answered.
 */
export function createAppendBatcher(
  store: Pick<Client<typeof CommandStoreService>, "appendOutput">,
  signal: AbortSignal,
  log: Logger,
): AdaptiveBatcher<PendingAppend> {
  // Memory for the messages, used again and again: to the engine a new MiB for each is a reason to look for garbage.
  const spares: Buffer[] = [];
  return createAdaptiveBatcher<PendingAppend, AppendResult>({
    name: "output",
    maxRows: maxBatchRows,
    maxBytes: maxBatchBytes,
    atOnce: batchesAtOnce,
    sizeOf: ({ append }) => append.chunk?.data.byteLength ?? 0,
    async send(batch, sending) {
      const spare = spares.pop() ?? Buffer.allocUnsafeSlow(spareBytes);
      const request = encodeAppends(
        batch.map(({ append }) => append),
        spare,
      );
      const { results } = await store.appendOutput(request, {
        signal: sending,
        timeoutMs: 30_000,
      });
      // Not after a failure: it may still be on its way then.
      spares.push(spare);
      return results;
    },
    settled: ({ settle }, result) => settle(result),
    refused({ append, settle }, error) {
      log.error({ err: error, task: String(append.taskId) }, "the store refused output");
      settle(create(AppendResultSchema, { refused: error.rawMessage }));
    },
    signal,
    log,
  });
}

/**
 * Makes UploadOutput. Each stream has one append under way and is not read meanwhile, nor while the store takes nothing:
 * what an agent has to say waits on its host. A piece that cannot be taken is refused in its answer; the stream ends only
 * when its session is not here.
 */
export function createUploadOutput(parts: UploadOutputParts) {
  const { appends, registry, maxAppendBytes } = parts;

  function checkSession({ session }: UploadOutputRequest): SessionKey {
    const hostId = session?.hostId ?? 0n;
    const epoch = session?.sessionEpoch ?? 0n;
    const found = registry.find(hostId, epoch);
    if (found !== undefined) return found.key;
    throw new ConnectError(
      `session: (host ${hostId}, epoch ${epoch}) is not here; connect and register first`,
      Code.FailedPrecondition,
    );
  }

  function append(append: OutputAppend, signal: AbortSignal): Promise<AppendResult> {
    return new Promise((resolve, reject) => {
      const gone = () => reject(signal.reason);
      signal.addEventListener("abort", gone);
      appends.add({
        append,
        settle(result) {
          signal.removeEventListener("abort", gone);
          resolve(result);
        },
      });
    });
  }

  return async function* uploadOutput(
    requests: AsyncIterable<UploadOutputRequest>,
    { signal }: Pick<HandlerContext, "signal">,
  ) {
    await appends.room(maxAppendBytes, signal);
    for await (const request of requests) {
      const { taskId, attempt, chunk } = request;
      const { hostId, sessionEpoch } = checkSession(request);
      const stream = chunk?.stream ?? OutputStream.UNSPECIFIED;
      const refused = chunkProblem(chunk);
      const answer =
        refused === undefined
          ? await append(
              create(OutputAppendSchema, {
                ...{ taskId, attempt, hostId, sessionEpoch },
                ...(chunk && { chunk }),
              }),
              signal,
            )
          : { length: 0n, refused };
      yield create(UploadOutputResponseSchema, {
        ...{ taskId, attempt, stream },
        length: answer.length,
        refused: answer.refused,
      });
      await appends.room(maxAppendBytes, signal);
    }
  };
}

/** What is wrong with a piece; undefined when nothing is. */
function chunkProblem(chunk: OutputChunk | undefined): string | undefined {
  if (chunk === undefined) return "chunk: is missing";
  const { stream, offset, data } = chunk;
  if (stream === OutputStream.UNSPECIFIED || !(stream in OutputStream)) {
    return `chunk.stream: ${stream} is no stream`;
  }
  if (offset < 0n) return `chunk.offset: ${offset} is negative`;
  if (data.byteLength > maxChunkBytes) {
    return `chunk.data: has ${data.byteLength} bytes, at most ${maxChunkBytes}`;
  }
  return undefined;
}
