import "./grpc-log.js";
import type { DescMessage, DescMethodBiDiStreaming, DescService } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  createServiceImplSpec,
  type Interceptor,
  type MethodImplSpec,
  type ServiceImpl,
} from "@connectrpc/connect";
import { Server, ServerInterceptingCall } from "@grpc/grpc-js";
import { Health } from "@howdah/proto/grpc/health/v1/health";
import { ServerReflection } from "@howdah/proto/grpc/reflection/v1/reflection";
import { ServerReflection as ServerReflectionV1Alpha } from "@howdah/proto/grpc/reflection/v1alpha/reflection";
import type { Logger } from "pino";
import { createHealth, type HealthState } from "./health.js";
import { defaultKeepalive, type Keepalive, keepaliveOptions } from "./keepalive.js";
import { assertListenAllowed, formatAddress, parseListenAddress } from "./listen-address.js";
import { defaultMaxMessageBytes } from "./message-size.js";
import { OpenCalls } from "./open-calls.js";
import { createReflection } from "./reflection.js";
import { serveCall } from "./serve-call.js";
import { type StreamMethod, serveStream } from "./serve-stream.js";
import type { OpenStream } from "./served-stream.js";
import { createServerInterceptors, type ServerInterceptorOptions } from "./server-interceptors.js";
import { listenWithWindow } from "./server-window.js";
import type { ServeOptions } from "./serving-call.js";
import { serverCredentials, type TlsFiles } from "./tls.js";

/** How to make a server. */
export interface RpcServerOptions extends ServerInterceptorOptions {
  /** The process's name, for messages: "dispatcher". */
  name: string;
  log: Logger;
  /** Interceptors of the service itself; they run inside those that every server has. Default none. */
  interceptors?: Interceptor[] | undefined;
  /** TLS; without it the server listens on loopback addresses only. */
  tls?: TlsFiles | undefined;
  /** Default 30 s and 10 s. */
  keepalive?: Keepalive | undefined;
  /**
   * How long `drain` waits for calls to end before it cuts them off. Default 10,000. Never more than the keepalive
   * time, since grpc-js drops a connection that says goodbye at its next ping (grpc-node#3068).
   */
  drainGraceMs?: number | undefined;
  /** The largest message, in and out. Default 4 MiB. */
  maxMessageBytes?: number | undefined;
  /**
   * What a client may have on its way on each stream, and on all of a connection, before it waits for word that more may come: memory that
   * each may take. Default HTTP/2's 64 KiB; more is for few clients that send large messages.
   */
  windowBytes?: number | undefined;
  /** The name of the setting that the listen address comes from, for messages. Default "listen". */
  listenOption?: string | undefined;
}

/** A server of Connect implementations over gRPC, with health and reflection. */
export interface RpcServer {
  /** Serves an implementation; methods it does not have answer UNIMPLEMENTED. Throws when the service is served already. */
  add<T extends DescService>(service: T, impl: Partial<ServiceImpl<T>>): RpcServer;
  /**
   * Serves a method of an added service message by message, in the place of its implementation: for streams of which there are thousands.
   * Throws when its service is not added.
   */
  serveStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodBiDiStreaming<I, O>,
    open: OpenStream<I, O>,
  ): RpcServer;
  /**
   * Listens on "host:port" and becomes ready. Resolves with the address and the real port where it was 0. Rejects, with
   * one line that names the address, when the port is taken or the address is not loopback and there is no TLS.
   */
  listen(address: string): Promise<string>;
  /** Ready or not, for each added service and "" for all; NOT_SERVING until `listen`, and again from `drain` on. */
  readonly health: HealthState;
  /**
   * Stops, in this order: not ready; streams end with UNAVAILABLE; no new connections, goodbye on the old ones; calls in
   * flight may end within the grace; what is left is cut off. Resolves when all is closed; calling again waits for the same.
   * A service with something to tell its streams ("reconnect elsewhere") tells it before.
   */
  drain(): Promise<void>;
}

/** Makes a server. Throws TlsFileError when a TLS file is not as it should be. */
export function createRpcServer(options: RpcServerOptions): RpcServer {
  const { name, log, windowBytes } = options;
  const keepalive = options.keepalive ?? defaultKeepalive;
  const maxMessageBytes = options.maxMessageBytes ?? defaultMaxMessageBytes;
  const listenOption = options.listenOption ?? "listen";
  const credentials = serverCredentials(options.tls);
  const methods = new Map<string, MethodImplSpec>();
  const streams = new Map<string, StreamMethod<DescMessage, DescMessage>>();
  const services: DescService[] = [];
  const health = createHealth();
  const openCalls = new OpenCalls();
  const bound: string[] = [];
  const serving: ServeOptions = {
    interceptors: [...createServerInterceptors(options), ...(options.interceptors ?? [])],
    givenInterceptors: [
      ...(options.observe === undefined ? [] : [options.observe]),
      ...(options.interceptors ?? []),
    ],
    maxMessageBytes,
    log,
    keepalive,
    openCalls,
  };

  const server = new Server({
    ...keepaliveOptions(keepalive),
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.enable_channelz": 0,
    interceptors: [
      ({ path }, call) =>
        new ServerInterceptingCall(call, {
          start(next) {
            const how = streams.get(path);
            const spec = methods.get(path);
            if (how !== undefined) serveStream(how, call);
            else if (spec === undefined) next();
            else serveCall(spec, call, serving);
          },
        }),
    ],
  });

  function add<T extends DescService>(service: T, impl: Partial<ServiceImpl<T>>): void {
    if (services.includes(service)) throw new Error(`${service.typeName} is served already`);
    services.push(service);
    for (const spec of Object.values(createServiceImplSpec(service, impl).methods)) {
      const path = `/${service.typeName}/${spec.method.name}`;
      methods.set(path, spec);
      // The interceptor above takes every call; grpc-js only has to know that the path exists.
      server.register(path, () => {}, identity, identity, "bidi");
    }
  }

  const reflection = createReflection(() => services);
  add(Health, health.impl);
  add(ServerReflection, reflection.v1);
  add(ServerReflectionV1Alpha, reflection.v1alpha);

  async function drain(): Promise<void> {
    health.state.setAll(false);
    // Watchers of the health service hear of it before their streams end.
    await turn();
    await turn();
    const goodbye = new ConnectError(`${name} is shutting down`, Code.Unavailable);
    openCalls.drain(goodbye);
    const graceMs = Math.min(options.drainGraceMs ?? 10_000, keepalive.timeMs);
    // grpc-js cuts connections off after a grace in `drain` only: its forceShutdown misses those of a server without
    // channelz, and `drain` those that tryShutdown has closed before. It tells the clients CANCELLED, so calls get their
    // UNAVAILABLE before that.
    for (const address of bound) server.drain(address, graceMs + 500);
    await new Promise<void>((resolve) => {
      const late = setTimeout(() => {
        if (openCalls.size > 0) {
          log.warn(
            { calls: openCalls.size, graceMs },
            "calls did not end within the drain's grace",
          );
        }
        openCalls.end(goodbye);
      }, graceMs);
      // A connection that never got as far as HTTP/2 keeps the listener from closing; nobody waits for it.
      const last = setTimeout(resolve, graceMs + 1_000);
      server.tryShutdown(() => {
        clearTimeout(late);
        clearTimeout(last);
        resolve();
      });
    });
  }
  let draining: Promise<void> | undefined;

  const rpcServer: RpcServer = {
    add(service, impl) {
      add(service, impl);
      health.state.set(service.typeName, health.state.get("") ?? false);
      return rpcServer;
    },
    serveStream(method, open) {
      const name = `${method.parent.typeName}/${method.name}`;
      const path = `/${name}`;
      if (!methods.has(path)) throw new Error(`${method.parent.typeName} is not added`);
      // Kept beside methods of other messages: each is called with its own only.
      streams.set(path, { method, open, name, options: serving } as unknown as StreamMethod<
        DescMessage,
        DescMessage
      >);
      return rpcServer;
    },
    async listen(text) {
      const address = parseListenAddress(text, listenOption);
      assertListenAllowed(address, options.tls !== undefined, listenOption);
      const listen = () => bind(server, formatAddress(address), credentials, listenOption);
      const port = await (windowBytes === undefined
        ? listen()
        : listenWithWindow(windowBytes, listen));
      const real = formatAddress({ host: address.host, port });
      bound.push(real);
      health.state.setAll(true);
      return real;
    },
    health: health.state,
    drain() {
      draining ??= drain();
      return draining;
    },
  };
  return rpcServer;
}

function bind(
  server: Server,
  address: string,
  credentials: ReturnType<typeof serverCredentials>,
  option: string,
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => {
      if (error === null) resolve(port);
      else reject(new Error(`${option}: cannot listen on ${address}: ${bindProblem(error)}`));
    });
  });
}

function bindProblem({ message }: Error): string {
  if (message.includes("EADDRINUSE")) {
    return "another process listens there (EADDRINUSE); stop it or choose another port";
  }
  if (message.includes("EACCES")) {
    return "not allowed (EACCES); ports below 1024 need privileges, choose a higher one";
  }
  if (message.includes("EADDRNOTAVAIL")) {
    return "this machine does not have that address (EADDRNOTAVAIL)";
  }
  return message;
}

function identity(bytes: Buffer): Buffer {
  return bytes;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
