import type { Request } from "@howdah/proto/howdah/v1/request";
import type { WatchRequestResponse } from "@howdah/proto/howdah/v1/store_request_reading";
import type { Session } from "../session.js";
import { callAgain } from "./call-again.js";
import { isOutOfBudget } from "./parked.js";

/** Whether nothing more will happen to a request. */
export function isOver(request: Request | undefined): boolean {
  return request?.progressPercent === 100;
}

/** How a request is watched. */
export interface WatchOptions {
  /** Also the tasks that changed. Default false. */
  includeTasks?: boolean;
  /**
   * The version from which on it is of interest, as the answer to a change of it gave it: what an older state says, such as that
   * the run before is over, is passed over. Default 0: all.
   */
  since?: bigint;
  /** End also when its failure budget is spent and nothing of it runs any more. Default false. */
  untilParked?: boolean;
}

/**
 * Follows a request until it is over, through restarts of the server. After one, tasks that were told before are
 * told again.
 */
export function watchRequest(
  { io, store }: Session,
  requestId: bigint,
  { includeTasks = false, since = 0n, untilParked = false }: WatchOptions = {},
): AsyncGenerator<WatchRequestResponse> {
  async function* open(signal: AbortSignal) {
    for await (const message of store.watchRequest({ requestId, includeTasks }, { signal })) {
      if (message.request === undefined || message.request.version >= since) yield message;
    }
  }
  const isLast = ({ request }: WatchRequestResponse) =>
    isOver(request) || (untilParked && request !== undefined && isOutOfBudget(request));
  return callAgain(open, isLast, {
    signal: io.interrupted,
    onAway: () => io.err("howdah: the server is away, trying again\n"),
  });
}
