import { create } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import {
  type UploadOutputRequest,
  UploadOutputResponseSchema,
} from "@howdah/proto/howdah/v1/agent_service";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import {
  type AppendResult,
  AppendResultSchema,
  type CommandStoreService,
  type OutputAppend,
  OutputAppendSchema,
} from "@howdah/proto/howdah/v1/command_store_service";
import type { Logger } from "pino";
import { type AdaptiveBatcher, createAdaptiveBatcher } from "./adaptive-batcher.js";
import type { SessionRegistry } from "./session-registry.js";

/** What uploads need. */
export interface UploadOutputParts {
  readonly registry: SessionRegistry;
  readonly appends: AdaptiveBatcher<PendingAppend>;
  /** Above so many bytes that the store has not taken, uploads are told to come back later. */
  readonly maxAppendBytes: number;
}

/** Output on its way to the store. */
export interface PendingAppend {
  readonly append: OutputAppend;
  settle(result: AppendResult): void;
}

const maxChunkBytes = 256 << 10;

/** Makes what appends output at the store, that of many agents in one call. */
export function createAppendBatcher(
  store: Pick<Client<typeof CommandStoreService>, "appendOutput">,
  signal: AbortSignal,
  log: Logger,
): AdaptiveBatcher<PendingAppend> {
  return createAdaptiveBatcher<PendingAppend, AppendResult>({
    name: "output",
    maxRows: 1_000,
    maxBytes: 1 << 20,
    sizeOf: ({ append }) => (append.chunk?.data.byteLength ?? 0) + 64,
    async send(batch, sending) {
      const appends = batch.map(({ append }) => append);
      return (await store.appendOutput({ appends }, { signal: sending, timeoutMs: 30_000 }))
        .results;
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
 * Makes UploadOutput. Each stream has one append under way and is not read meanwhile: what an agent has to say waits on its
 * host. While the store takes nothing, streams beyond a bound end with RESOURCE_EXHAUSTED, to be tried again later.
 */
export function createUploadOutput(parts: UploadOutputParts) {
  const { appends, registry } = parts;

  function toAppend({ session, taskId, attempt, chunk }: UploadOutputRequest): OutputAppend {
    const hostId = session?.hostId ?? 0n;
    const sessionEpoch = session?.sessionEpoch ?? 0n;
    if (registry.find(hostId, sessionEpoch) === undefined) {
      throw new ConnectError(
        `session: (host ${hostId}, epoch ${sessionEpoch}) is not here; connect and register first`,
        Code.FailedPrecondition,
      );
    }
    if (chunk === undefined) throw invalid("chunk: is missing");
    if (chunk.stream === OutputStream.UNSPECIFIED) throw invalid("chunk.stream: is not stated");
    if (chunk.offset < 0n) throw invalid(`chunk.offset: ${chunk.offset} is negative`);
    if (chunk.data.byteLength > maxChunkBytes) {
      throw invalid(`chunk.data: has ${chunk.data.byteLength} bytes, at most ${maxChunkBytes}`);
    }
    return create(OutputAppendSchema, { taskId, attempt, hostId, sessionEpoch, chunk });
  }

  function store(append: OutputAppend, signal: AbortSignal): Promise<AppendResult> {
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
    for await (const request of requests) {
      const append = toAppend(request);
      if (appends.pendingBytes > parts.maxAppendBytes) {
        throw new ConnectError(
          "the store takes no output just now; upload again later",
          Code.ResourceExhausted,
        );
      }
      const { taskId, attempt } = append;
      const stream = append.chunk?.stream ?? OutputStream.UNSPECIFIED;
      const { length, refused } = await store(append, signal);
      yield create(UploadOutputResponseSchema, { taskId, attempt, stream, length, refused });
    }
  };
}

function invalid(what: string): ConnectError {
  return new ConnectError(what, Code.InvalidArgument);
}
