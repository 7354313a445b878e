import { setMaxListeners } from "node:events";
import type { DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Health } from "@howdah/proto/grpc/health/v1/health";
import { ServerReflection } from "@howdah/proto/grpc/reflection/v1/reflection";
import { ServerReflection as ServerReflectionV1Alpha } from "@howdah/proto/grpc/reflection/v1alpha/reflection";
import { createHealth } from "@howdah/rpc/health";
import {
  assertListenAllowed,
  formatAddress,
  isLoopback,
  parseListenAddress,
} from "@howdah/rpc/listen-address";
import { peerContextValues } from "@howdah/rpc/node-peer";
import { createReflection } from "@howdah/rpc/reflection";
import { createServerInterceptors } from "@howdah/rpc/server-interceptors";
import { readServerTls, type TlsFiles } from "@howdah/rpc/tls";
import type { Logger } from "pino";
import { refuseMethod, routeMethod } from "./forward.js";
import type { InnerService } from "./inner-service.js";
import { createOnePortServer, type Handler } from "./one-port.js";
import { answer, plainPages } from "./plain-pages.js";
import { acceptCurl, refusal } from "./request-guard.js";

/** How to make a gateway. */
export interface GatewayOptions {
  log: Logger;
  /** "host:port"; port 0 is any free one. */
  listen: string;
  /** What is served, and which service it is forwarded to. */
  routes: readonly (readonly [DescService, InnerService])[];
  /** Services that are known but never served, to say so. Default none. */
  refused?: readonly DescService[];
  /** Without it, plain text on loopback addresses only. */
  tls?: TlsFiles | undefined;
  /** Names besides loopback ones by which a gateway on a loopback address may be called. Default none. */
  allowedHosts?: readonly string[];
  /** See `ServerInterceptorOptions.observe`. */
  observe?: Interceptor | undefined;
  /** How long a stream may last. Default 15 minutes. */
  maxStreamAgeMs?: number;
  /** How long `drain` waits for calls to end. Default 5,000. */
  drainGraceMs?: number;
}

/** A gateway that listens. */
export interface Gateway {
  /** Where, with the real port. */
  readonly address: string;
  /** Not ready; streams end with UNAVAILABLE; calls in flight may end within the grace; then all is closed. */
  drain(): Promise<void>;
}

/** The largest message that is taken, as lib/rpc's servers have it. */
const maxMessageBytes = 4 << 20;

/** Starts a gateway. Rejects, naming HOWDAH_LISTEN, when it cannot listen there. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { log, routes, refused = [], maxStreamAgeMs = 15 * 60_000 } = options;
  const listen = parseListenAddress(options.listen, "HOWDAH_LISTEN");
  assertListenAllowed(listen, options.tls !== undefined, "HOWDAH_LISTEN");
  const shutdown = new AbortController();
  setMaxListeners(0, shutdown.signal); // one listener a call
  const health = createHealth();
  const served = [Health, ServerReflection, ServerReflectionV1Alpha, ...routes.map(([one]) => one)];
  const reflection = createReflection(() => served);

  const calls = connectNodeAdapter({
    readMaxBytes: maxMessageBytes,
    // A misspelt field must not be passed over: without its selector, an operation would be for all hosts.
    jsonOptions: { ignoreUnknownFields: false },
    interceptors: createServerInterceptors({ log, observe: options.observe }),
    shutdownSignal: shutdown.signal,
    contextValues: peerContextValues,
    fallback: plainPages,
    routes(router) {
      router.service(Health, health.impl);
      router.service(ServerReflection, reflection.v1);
      router.service(ServerReflectionV1Alpha, reflection.v1alpha);
      for (const [service, inner] of routes) {
        for (const method of service.methods) routeMethod(router, method, inner, maxStreamAgeMs);
      }
      for (const service of refused) {
        for (const method of service.methods) refuseMethod(router, method);
      }
    },
  });
  const allowedHosts = isLoopback(listen) ? (options.allowedHosts ?? []) : undefined;
  const guarded: Handler = (request, response) => {
    const problem = refusal(request.headers, allowedHosts);
    if (problem !== undefined) {
      answer(response, 403, `${problem}\n`);
      return;
    }
    acceptCurl(request.headers);
    calls(request, response);
  };

  const server = createOnePortServer(guarded, options.tls && readServerTls(options.tls));
  const port = await server.listen(listen.host, listen.port).catch((error: Error) => {
    const address = formatAddress(listen);
    throw new Error(`HOWDAH_LISTEN: cannot listen on ${address}: ${error.message}`);
  });
  for (const { typeName } of [...routes.map(([service]) => service)]) {
    health.state.set(typeName, true);
  }
  health.state.set("", true);
  return {
    address: formatAddress({ host: listen.host, port }),
    async drain() {
      health.state.setAll(false);
      shutdown.abort(new ConnectError("the gateway is shutting down", Code.Unavailable));
      await server.close(options.drainGraceMs ?? 5_000);
    },
  };
}
