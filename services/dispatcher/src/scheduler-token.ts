import { Code, ConnectError } from "@connectrpc/connect";

/** Fences off schedulers that are no longer the active one. */
export interface SchedulerFence {
  /** Takes the token of a call. Throws FAILED_PRECONDITION when a higher one was seen. */
  check(token: bigint): void;
}

/**
 * Makes a fence that remembers the highest token.
 * @param raised called when a call has brought a higher one
 */
export function createSchedulerFence(raised: (token: bigint) => void): SchedulerFence {
  let highest = 0n;
  return {
    check(token) {
      if (token < highest) {
        throw new ConnectError(
          `scheduler_token: ${token} is out of date, a newer scheduler with token ${highest} is active`,
          Code.FailedPrecondition,
        );
      }
      if (token === highest) return;
      highest = token;
      raised(token);
    },
  };
}
