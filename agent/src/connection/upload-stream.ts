import { setTimeout as sleep } from "node:timers/promises";
import { type Client, ConnectError } from "@connectrpc/connect";
import type {
  AgentService,
  UploadOutputRequest,
  UploadOutputResponse,
} from "@howdah/proto/howdah/v1/agent_service";
import type { Logger } from "pino";
import { Outbox } from "./outbox.js";
import { reconnectPauseMs } from "./server-addresses.js";

/** The session's way to store output. */
export interface UploadStream {
  /**
   * Sends a piece and resolves with the server's answer. Rejects when the stream breaks off before it, with whether the piece was
   * stored unknown; the next call opens the stream anew, after a pause that grows while it keeps breaking off. One piece of an
   * attempt's stream at a time.
   */
  append(request: UploadOutputRequest): Promise<UploadOutputResponse>;
}

interface Open {
  readonly outbox: Outbox<UploadOutputRequest>;
  readonly waiting: Map<string, Answered>;
  broken: Error | undefined;
}

interface Answered {
  resolve(response: UploadOutputResponse): void;
  reject(error: Error): void;
}

/** Makes the upload stream of a session, which `signal` ends. It is opened with the first piece: most hosts are quiet most of the time. */
export function createUploadStream(
  client: Client<typeof AgentService>,
  signal: AbortSignal,
  log: Logger,
): UploadStream {
  let open: Promise<Open> | undefined;
  let breaks = 0;

  async function begin(): Promise<Open> {
    if (breaks > 0) await sleep(reconnectPauseMs(breaks), undefined, { signal });
    const opened: Open = { outbox: new Outbox(), waiting: new Map(), broken: undefined };
    void follow(opened);
    return opened;
  }

  /** Reads the answers until the stream ends, however it does. Never rejects. */
  async function follow(opened: Open): Promise<void> {
    const { outbox, waiting } = opened;
    let reason = "the server has ended it";
    try {
      for await (const response of client.uploadOutput(outbox, { signal, timeoutMs: 0 })) {
        const key = pieceKey(response, response.stream);
        const piece = waiting.get(key);
        waiting.delete(key);
        if (piece === undefined) continue; // an answer to nothing
        breaks = 0;
        piece.resolve(response);
      }
    } catch (error) {
      reason = ConnectError.from(error).message;
    }
    open = undefined;
    breaks += 1;
    outbox.end();
    if (!signal.aborted) log.info({ reason }, "the stream for output broke off");
    const broken = new Error(`the stream for output broke off: ${reason}`);
    opened.broken = broken;
    for (const { reject } of waiting.values()) reject(broken);
  }

  return {
    async append(request) {
      signal.throwIfAborted();
      open ??= begin();
      const { outbox, waiting, broken } = await open;
      if (broken !== undefined) throw broken;
      return new Promise((resolve, reject) => {
        waiting.set(pieceKey(request, request.chunk?.stream ?? 0), { resolve, reject });
        outbox.put(request);
      });
    },
  };
}

function pieceKey(
  { taskId, attempt }: { readonly taskId: bigint; readonly attempt: number },
  stream: number,
): string {
  return `${taskId}/${attempt}/${stream}`;
}
