import "./grpc-log.js";
import { create, type DescMethod } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  createContextValues,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import { runStreamingCall, runUnaryCall } from "@connectrpc/connect/protocol";
import { Channel, type ChannelOptions, connectivityState } from "@grpc/grpc-js";
import { callIdHeader, newCallId } from "./call-id.js";
import { CallStreams } from "./call-streams.js";
import { type ClientCallOptions, callStream, callUnary, type OpenCall } from "./client-call.js";
import { connectTarget } from "./connect-target.js";
import { endsWithChannel } from "./ends-with-channel.js";
import { defaultKeepalive, type Keepalive, keepaliveOptions } from "./keepalive.js";
import { defaultMaxMessageBytes } from "./message-size.js";
import { type ClientTlsFiles, channelCredentials } from "./tls.js";

/** How to reach a server. */
export interface RpcTransportOptions {
  /**
   * "host:port", or several IP addresses with commas between them: calls then go round, past servers that are down.
   */
  address: string;
  /** TLS; without it plaintext. `{}` is TLS with the system's roots. */
  tls?: ClientTlsFiles | undefined;
  /** Run around every call. Default none. */
  interceptors?: Interceptor[] | undefined;
  /** Default 30 s and 10 s; pings go on without calls. */
  keepalive?: Keepalive | undefined;
  /**
   * Do not share the TCP connection with other transports of this process to the same address. Default false. For
   * agents, above all when one process plays many.
   */
  ownConnection?: boolean | undefined;
  /**
   * How several addresses, or a name with several, are used: all in turn, or the first that answers. Default
   * "round_robin" for a list, "pick_first" for one address.
   */
  loadBalancing?: "round_robin" | "pick_first" | undefined;
  /** The deadline of unary calls that name none. Default 30,000; 0 means none. A call can ask for none with timeoutMs 0. */
  defaultTimeoutMs?: number | undefined;
  /** The largest message, in and out. Default 4 MiB. */
  maxMessageBytes?: number | undefined;
  /** The name of the setting that the address comes from, for messages. Default "address". */
  addressOption?: string | undefined;
  /**
   * Make unary calls that bring no headers and no deadline of their own over streams that are kept: for few clients that call often. Their
   * server should be one of `createRpcServer`: to one that does not know of such streams each call takes a second longer. Headers and
   * trailers of answers are not told, nor the default deadline: the call is cancelled when it passes. Default false.
   */
  keepStreams?: boolean | undefined;
  /** Options of grpc-js that win over all others. */
  channelOptions?: ChannelOptions | undefined;
}

/** The state of the connection. */
export type ConnectionState = "idle" | "connecting" | "ready" | "transient_failure" | "shutdown";

/** A Connect transport over grpc-js. Make clients with Connect's `createClient(Service, transport)`. */
export interface RpcTransport extends Transport {
  /** The address as it was given. */
  readonly address: string;
  /** The state of the connection now. */
  state(): ConnectionState;
  /**
   * Connects, and resolves when a call would go out at once. Rejects with UNAVAILABLE, naming the address, when that
   * takes longer than `timeoutMs`, or with the signal's reason.
   */
  waitForReady(timeoutMs: number, signal?: AbortSignal): Promise<void>;
  /** Closes the connection; calls in flight end with CANCELED. Calling again does nothing. */
  close(): void;
}

/**
 * Makes a transport. It connects with the first call, and again, with a growing pause (1 s to 30 s), whenever the
 * connection is lost; calls fail with UNAVAILABLE meanwhile and are never sent twice.
 * Throws an Error for an address that cannot be one, TlsFileError for a TLS file that is not as it should be.
 */
export function createRpcTransport(options: RpcTransportOptions): RpcTransport {
  const { address, interceptors } = options;
  const maxMessageBytes = options.maxMessageBytes ?? defaultMaxMessageBytes;
  const defaultTimeoutMs = options.defaultTimeoutMs ?? 30_000;
  const target = connectTarget(address, options.addressOption ?? "address");
  const credentials = endsWithChannel(channelCredentials(options.tls));
  const channel = new Channel(target, credentials, channelOptions(options));
  const openCalls = new Set<OpenCall>();
  const streams = options.keepStreams
    ? new CallStreams({ channel, maxMessageBytes, openCalls })
    : undefined;

  // Kept here, since a closed channel of grpc-js comes to life again when its state is asked for.
  let closed = false;

  function assertOpen(): void {
    if (closed) throw new ConnectError(`the transport to ${address} is closed`, Code.Unavailable);
  }
  const callOptions = (timeoutMs: number | undefined): ClientCallOptions => ({
    channel,
    maxMessageBytes,
    openCalls,
    // Connect takes 0 and less for "no limit".
    timeoutMs: timeoutMs !== undefined && timeoutMs > 0 ? timeoutMs : undefined,
  });

  return {
    address,
    async unary(method, signal, timeoutMs, header, input, contextValues) {
      assertOpen();
      const call = callOptions(timeoutMs ?? defaultTimeoutMs);
      const isPlain = timeoutMs === undefined && header === undefined && interceptors === undefined;
      if (streams !== undefined && isPlain) {
        const message = create(method.input, input);
        const answer = await streams.call(method, message, { signal, timeoutMs: call.timeoutMs });
        const none = { header: new Headers(), trailer: new Headers() };
        return { ...none, stream: false, service: method.parent, method, message: answer };
      }
      return runUnaryCall({
        ...optional({ interceptors, signal, timeoutMs: call.timeoutMs }),
        req: {
          stream: false,
          service: method.parent,
          method,
          requestMethod: "POST",
          url: urlOf(address, method),
          header: withCallId(header),
          contextValues: contextValues ?? createContextValues(),
          message: input,
        },
        async next(request) {
          const answer = await callUnary(
            request.method,
            request.message,
            request.header,
            request.signal,
            call,
          );
          return { ...answer, stream: false, service: request.service, method: request.method };
        },
      });
    },
    async stream(method, signal, timeoutMs, header, input, contextValues) {
      assertOpen();
      const call = callOptions(timeoutMs);
      return runStreamingCall({
        ...optional({ interceptors, signal, timeoutMs: call.timeoutMs }),
        req: {
          stream: true,
          service: method.parent,
          method,
          requestMethod: "POST",
          url: urlOf(address, method),
          header: withCallId(header),
          contextValues: contextValues ?? createContextValues(),
          message: input,
        },
        async next(request) {
          const answer = await callStream(
            request.method,
            request.message,
            request.header,
            request.signal,
            call,
          );
          return { ...answer, stream: true, service: request.service, method: request.method };
        },
      });
    },
    state: () => (closed ? "shutdown" : stateNames[channel.getConnectivityState(false)]),
    async waitForReady(timeoutMs, signal) {
      const deadline = Date.now() + timeoutMs;
      for (;;) {
        signal?.throwIfAborted();
        assertOpen();
        const state = channel.getConnectivityState(true);
        if (state === connectivityState.READY) return;
        if (Date.now() >= deadline) {
          throw new ConnectError(
            `no connection to ${address} within ${timeoutMs} ms (${stateNames[state]})`,
            Code.Unavailable,
          );
        }
        await stateChange(channel, state, deadline, signal);
      }
    },
    close() {
      if (closed) return;
      closed = true;
      for (const call of openCalls) {
        call.cancelSoon("the transport was closed");
      }
      // After the cancels, so that no call ends otherwise.
      setImmediate(() => channel.close());
    },
  };
}

function channelOptions(options: RpcTransportOptions): ChannelOptions {
  const several = options.address.includes(",");
  const loadBalancing = options.loadBalancing ?? (several ? "round_robin" : "pick_first");
  const maxMessageBytes = options.maxMessageBytes ?? defaultMaxMessageBytes;
  return {
    ...keepaliveOptions(options.keepalive ?? defaultKeepalive),
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.max_receive_message_length": maxMessageBytes,
    // Retries would keep all that a stream sends (grpc-node#2371), and whether to repeat is the caller's to know.
    "grpc.enable_retries": 0,
    "grpc.initial_reconnect_backoff_ms": 1_000,
    "grpc.max_reconnect_backoff_ms": 30_000,
    "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ [loadBalancing]: {} }] }),
    "grpc.service_config_disable_resolution": 1,
    "grpc.enable_http_proxy": 0,
    "grpc.enable_channelz": 0,
    "grpc.use_local_subchannel_pool": options.ownConnection === true ? 1 : 0,
    ...optional({ "grpc.ssl_target_name_override": options.tls?.serverName }),
    ...options.channelOptions,
  };
}

const stateNames = {
  [connectivityState.IDLE]: "idle",
  [connectivityState.CONNECTING]: "connecting",
  [connectivityState.READY]: "ready",
  [connectivityState.TRANSIENT_FAILURE]: "transient_failure",
  [connectivityState.SHUTDOWN]: "shutdown",
} as const satisfies Record<connectivityState, ConnectionState>;

/** Resolves when the state is another, the deadline has passed or the signal aborts. */
function stateChange(
  channel: Channel,
  state: connectivityState,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      signal?.removeEventListener("abort", done);
      resolve();
    };
    signal?.addEventListener("abort", done);
    // It calls back with an error at the deadline, and our caller looks at the clock itself.
    channel.watchConnectivityState(state, deadline, done);
  });
}

function withCallId(init: HeadersInit | undefined): Headers {
  const header = new Headers(init);
  if (!header.has(callIdHeader)) header.set(callIdHeader, newCallId());
  return header;
}

function urlOf(address: string, method: DescMethod): string {
  return `http://${address}/${method.parent.typeName}/${method.name}`;
}

/** Leaves out what is undefined, since optional properties may not be. */
function optional<T extends object>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const result: { [K in keyof T]?: NonNullable<T[K]> } = {};
  for (const key of Object.keys(values) as (keyof T)[]) {
    const value = values[key];
    if (value !== undefined && value !== null) result[key] = value;
  }
  return result;
}
