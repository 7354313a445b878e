import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";

/** The life of a stream that the gateway passes on. */
export interface CallLife {
  /** Aborts when the caller leaves, when the stream is too old, and at `end`. */
  readonly signal: AbortSignal;
  /** Why the stream ended, where that is its age. */
  tooOld(): ConnectError | undefined;
  /** Must be called when the stream is over: it lets go of the inner call, which a loop that was left does not. */
  end(): void;
}

/**
 * Bounds a stream by its caller and by an age. Servers of connect-node never notice a caller that has vanished
 * without a word, so a stream without end would be kept for ever; callers take up again where they were.
 */
export function beginStream(context: HandlerContext, maxAgeMs: number): CallLife {
  const controller = new AbortController();
  const leave = () => controller.abort(context.signal.reason);
  if (context.signal.aborted) leave();
  context.signal.addEventListener("abort", leave);
  let age: ConnectError | undefined;
  const timer = setTimeout(() => {
    age = new ConnectError(
      `the gateway ends a stream after ${maxAgeMs / 1000} seconds; call again to go on`,
      Code.Unavailable,
    );
    controller.abort(age);
  }, maxAgeMs);
  return {
    signal: controller.signal,
    tooOld: () => age,
    end() {
      clearTimeout(timer);
      context.signal.removeEventListener("abort", leave);
      controller.abort();
    },
  };
}
