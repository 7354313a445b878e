import { Code, ConnectError } from "@connectrpc/connect";

/**
 * Thrown when a call cannot be answered since this scheduler does not lead, does not lead any more, or has not taken over yet what the call
 * is about. UNAVAILABLE to callers; `passOn` knows better what to do.
 */
export class NotLeadingError extends ConnectError {
  /** ConnectError's own takes every ConnectError for one of these. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof ConnectError && "isDone" in value;
  }

  /** @param isDone "no": nothing was done, the call may be made again. "unknown": it may have been done. */
  constructor(
    message: string,
    readonly isDone: "no" | "unknown",
  ) {
    super(message, Code.Unavailable);
  }
}
