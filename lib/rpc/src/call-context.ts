import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError, type ContextValues, type HandlerContext } from "@connectrpc/connect";

/** The context of one call, and the way to abort it. */
export interface CallContext extends HandlerContext {
  /** Aborts the context's signal and frees its timer. Without a reason when the call has ended as it should. */
  abort(reason?: unknown): void;
}

/** What the signal of a call that ended as it should is aborted with: without a reason Node would make one each time. */
const callEnded = new ConnectError("the call has ended", Code.Canceled);

const longestTimerMs = 2 ** 31 - 1;

/**
 * Makes the context of a call. Connect's own has two abort controllers and a listener on a signal of the whole server,
 * which with thousands of open streams makes the end of every call walk all of them.
 * @param deadline when the call must have ended, as milliseconds of Date.now(); Infinity for never
 */
export function createCallContext(
  method: DescMethod,
  requestHeader: Headers,
  deadline: number,
  values: ContextValues,
): CallContext {
  const controller = new AbortController();
  const remainingMs = deadline - Date.now();
  const timer =
    remainingMs <= longestTimerMs
      ? setTimeout(() => controller.abort(deadlinePassed()), Math.max(0, remainingMs))
      : undefined;
  return {
    service: method.parent,
    method,
    protocolName: "grpc",
    requestMethod: "POST",
    url: `http://localhost/${method.parent.typeName}/${method.name}`,
    signal: controller.signal,
    timeoutMs: () => (deadline === Infinity ? undefined : deadline - Date.now()),
    requestHeader,
    responseHeader: new Headers(),
    responseTrailer: new Headers(),
    values,
    abort(reason) {
      clearTimeout(timer);
      controller.abort(reason ?? callEnded);
    },
  };
}

/** The error of a call that took longer than its caller wanted to wait. */
export function deadlinePassed(): ConnectError {
  return new ConnectError("the deadline of the call has passed", Code.DeadlineExceeded);
}
