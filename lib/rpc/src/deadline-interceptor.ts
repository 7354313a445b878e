import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";

/**
 * Ends unary calls with DEADLINE_EXCEEDED after `maxUnaryMs`, whatever the caller's own deadline: the handler's signal
 * aborts, and the caller is answered even if the handler does not listen to it. Streams are left alone.
 */
export function deadlineInterceptor(maxUnaryMs: number): Interceptor {
  return (next) => async (request) => {
    if (request.stream) return next(request);
    const controller = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const abort = () => {
      clearTimeout(timer);
      controller.abort(request.signal.reason);
    };
    if (request.signal.aborted) abort();
    request.signal.addEventListener("abort", abort);
    const expired = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const error = new ConnectError(
          `the server gave up after ${maxUnaryMs} ms`,
          Code.DeadlineExceeded,
        );
        controller.abort(error);
        reject(error);
      }, maxUnaryMs);
    });
    try {
      return await Promise.race([next({ ...request, signal: controller.signal }), expired]);
    } finally {
      clearTimeout(timer);
      request.signal.removeEventListener("abort", abort);
    }
  };
}
