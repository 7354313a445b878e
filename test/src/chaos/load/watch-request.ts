import { Status } from "@howdah/proto/howdah/v1/status";
import type { ProgressSighting } from "../check/history.js";
import { rest } from "../rest.js";
import { uptimeMs } from "../uptime.js";
import { isRefusal, type Operators } from "./operators.js";

/**
 * Follows a request until it is over or the signal aborts, however often the stream breaks off, and writes down what it is shown.
 * Without a watcher's name it asks now and then instead, and writes nothing down.
 */
export async function watchRequest(
  operators: Operators,
  requestId: number,
  watcher: string | undefined,
  progress: ProgressSighting[],
  signal: AbortSignal,
): Promise<void> {
  const id = { requestId: BigInt(requestId) };
  const over = AbortSignal.any([signal, operators.closed]);
  while (!over.aborted) {
    const { store } = operators.door();
    try {
      if (watcher === undefined) {
        const { request } = await store.getRequest(id, { signal });
        if (request?.progressPercent === 100) return;
        await rest(500, over);
        continue;
      }
      for await (const { request } of store.watchRequest(id, { signal, timeoutMs: 0 })) {
        if (request === undefined) continue;
        const { progressPercent: percent, run, status } = request;
        const seen = { atMs: uptimeMs(), watcher, requestId, run, percent };
        progress.push({ ...seen, status: Status[status] });
        if (percent === 100) return;
      }
    } catch (error) {
      if (over.aborted) return;
      if (isRefusal(error)) throw error;
      await rest(300, over);
    }
  }
}
