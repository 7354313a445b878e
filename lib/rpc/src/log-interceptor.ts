import {
  Code,
  ConnectError,
  createContextKey,
  type Interceptor,
  type StreamRequest,
  type UnaryRequest,
} from "@connectrpc/connect";
import { type Logger, pino } from "pino";
import { callIdKey, callIdOf } from "./call-id.js";
import { type Peer, peerKey } from "./peer.js";
import { watchEnd } from "./stream-end.js";

/** What logs about a call, whose id (`call`) and `method` every line names. Silent where no interceptor set it. A child of its own would cost each call more than its line. */
export const logKey = createContextKey<Logger>(pino({ level: "silent" }), { description: "log" });

/** Codes that say that the server, not its caller, has a problem. */
const serverFaults = new Set([Code.Unknown, Code.Internal, Code.DataLoss, Code.Unavailable]);

/**
 * Gives each call its id (the caller's `x-call-id`, else a new one) and its logger, and writes one line when it ends:
 * method, peer, code, ms. At debug when it went well or its caller left, at info when the caller was refused, at warn when
 * the server is at fault. For servers of both runtimes; it must be the first interceptor.
 */
export function logInterceptor(log: Logger): Interceptor {
  return (next) => async (request) => {
    const startedAt = performance.now();
    const call = callIdOf(request.header);
    const method = methodName(request);
    request.contextValues.set(callIdKey, call).set(logKey, log);

    const ended = (failure?: { error: unknown }) => {
      const error =
        failure ?? (request.signal.aborted ? { error: request.signal.reason } : undefined);
      logEnd(log, { call, method }, startedAt, request.contextValues.get(peerKey), error);
      return failure?.error;
    };

    try {
      const response = await next(request);
      if (response.stream) return { ...response, message: watchEnd(response.message, ended) };
      ended();
      return response;
    } catch (error) {
      throw ended({ error });
    }
  };
}

/** A method as logs name it: `howdah.v1.FleetService/GetHost`. */
export function methodName({ service, method }: UnaryRequest | StreamRequest): string {
  return `${service.typeName}/${method.name}`;
}

/** Writes the line of a call that has ended; without a failure it went well. */
export function logEnd(
  log: Logger,
  fields: { readonly call?: string; readonly method?: string },
  startedAt: number,
  { address, identity }: Peer,
  failure?: { readonly error: unknown },
): void {
  const code = failure === undefined ? undefined : ConnectError.from(failure.error).code;
  const level = levelOf(code);
  if (!log.isLevelEnabled(level)) return;
  const ms = Math.round((performance.now() - startedAt) * 10) / 10;
  const how = code === undefined ? "ok" : Code[code];
  log[level]({ ...fields, peer: identity ?? address, code: how, ms }, "call");
}

function levelOf(code: Code | undefined): "debug" | "info" | "warn" {
  // One lost switch cancels the streams of a thousand hosts, which is no thousand news.
  if (code === undefined || code === Code.Canceled) return "debug";
  return serverFaults.has(code) ? "warn" : "info";
}
