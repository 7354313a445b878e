import type { WatchRequestResponse } from "@howdah/proto/howdah/v1/command_store_service";
import type { Request } from "@howdah/proto/howdah/v1/request";
import type { Session } from "../session.js";
import { callAgain } from "./call-again.js";

/** Whether nothing more will happen to a request. */
export function isOver(request: Request | undefined): boolean {
  return request?.progressPercent === 100;
}

/**
 * Follows a request until it is over, through restarts of the server. After one, tasks that were told before are
 * told again.
 */
export function watchRequest(
  { io, store }: Session,
  requestId: bigint,
  options: { includeTasks?: boolean } = {},
): AsyncGenerator<WatchRequestResponse> {
  return callAgain(
    (signal) =>
      store.watchRequest({ requestId, includeTasks: options.includeTasks ?? false }, { signal }),
    ({ request }) => isOver(request),
    {
      signal: io.interrupted,
      onAway: () => io.err("howdah: the server is away, trying again\n"),
    },
  );
}
