import type { Interceptor } from "@connectrpc/connect";
import type { Logger } from "pino";
import { deadlineInterceptor } from "./deadline-interceptor.js";
import { errorInterceptor, type MapError } from "./error-interceptor.js";
import { logInterceptor } from "./log-interceptor.js";

/** What every server of the product does around its handlers. */
export interface ServerInterceptorOptions {
  log: Logger;
  /** Turns the service's domain errors into RPC errors. Default: none is known, all leave as INTERNAL. */
  mapError?: MapError | undefined;
  /** The longest a unary call may take. Default 60,000. */
  maxUnaryMs?: number | undefined;
  /** Sees each call with the error that its caller gets, such as the one that counts calls. Default none. */
  observe?: Interceptor | undefined;
}

/**
 * The interceptors of every server, in their order: log, `observe`, errors, deadline. `createRpcServer` has them built in; a
 * connect-node server passes them as its `interceptors`.
 */
export function createServerInterceptors(options: ServerInterceptorOptions): Interceptor[] {
  return [
    logInterceptor(options.log),
    ...(options.observe === undefined ? [] : [options.observe]),
    errorInterceptor(options.mapError),
    deadlineInterceptor(options.maxUnaryMs ?? 60_000),
  ];
}
