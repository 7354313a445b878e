import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { callIdKey } from "./call-id.js";
import { logKey, methodName } from "./log-interceptor.js";
import { abortError } from "./status.js";
import { watchEnd } from "./stream-end.js";

/** Turns a domain error into what the caller may see; undefined for an error that it does not know. */
export type MapError = (error: unknown) => ConnectError | undefined;

/**
 * Lets only RPC errors leave a handler. A `ConnectError` passes as it is, a domain error as `mapError` says; anything
 * else goes to the call's log with its stack and leaves as INTERNAL "internal error (call ID)".
 * For servers of both runtimes; it stands right behind the log interceptor.
 */
export function errorInterceptor(mapError?: MapError): Interceptor {
  return (next) => async (request) => {
    const expose = (error: unknown): ConnectError => {
      if (error instanceof ConnectError) return error;
      if (request.signal.aborted && isAbort(error)) return abortError(request.signal);
      const mapped = mapError?.(error);
      if (mapped !== undefined) return mapped;
      const call = request.contextValues.get(callIdKey);
      const method = methodName(request);
      request.contextValues.get(logKey).error({ call, method, err: error }, "internal error");
      return new ConnectError(`internal error (call ${call})`, Code.Internal);
    };
    try {
      const response = await next(request);
      if (!response.stream) return response;
      const message = watchEnd(response.message, (failure) =>
        failure === undefined ? undefined : expose(failure.error),
      );
      return { ...response, message };
    } catch (error) {
      throw expose(error);
    }
  };
}

/** Node's own functions throw an AbortError of theirs when the signal they were given aborts. */
function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}
