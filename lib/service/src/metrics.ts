import { createServer as createHttp, type RequestListener } from "node:http";
import { createServer as createHttps } from "node:https";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { formatAddress, parseListenAddress } from "@howdah/rpc/listen-address";
import { methodName } from "@howdah/rpc/log-interceptor";
import { watchEnd } from "@howdah/rpc/stream-end";
import { readServerTls, type TlsFiles } from "@howdah/rpc/tls";
import { collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** What a process tells Prometheus. */
export interface Metrics {
  /** Where it is read. */
  readonly address: string;
  /** For metrics of the service's own. */
  readonly registry: Registry;
  /** Counts the calls of a server and how long they took, by method and code; for `observe` of a server. */
  readonly observe: Interceptor;
}

/**
 * Serves `/metrics` at "host:port" until the process ends. Rejects, naming HOWDAH_METRICS_LISTEN, when it cannot.
 */
export async function startMetrics(listen: string, tls: TlsFiles | undefined): Promise<Metrics> {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const answer: RequestListener = (request, response) => {
    if (request.url !== "/metrics") {
      response.writeHead(404, { "content-type": "text/plain" }).end("metrics are at /metrics\n");
      return;
    }
    void registry.metrics().then((text) => {
      response.writeHead(200, { "content-type": registry.contentType }).end(text);
    });
  };
  const server = tls ? createHttps(readServerTls(tls), answer) : createHttp(answer);
  const { host, port } = parseListenAddress(listen, "HOWDAH_METRICS_LISTEN");
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => {
      reject(new Error(`HOWDAH_METRICS_LISTEN: cannot listen on ${listen}: ${error.message}`));
    });
    server.listen(port, host, resolve);
  });
  server.unref();
  const bound = server.address();
  const actual = typeof bound === "object" && bound !== null ? bound.port : port;
  return {
    address: formatAddress({ host, port: actual }),
    registry,
    observe: createObserver(registry),
  };
}

/** An interceptor that counts, on a registry of the caller's. */
export function createObserver(registry: Registry): Interceptor {
  const seconds = new Histogram({
    name: "howdah_rpc_server_call_seconds",
    help: "How long calls took, streams until their end; the count is how many there were.",
    labelNames: ["method", "code"] as const,
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 600],
    registers: [registry],
  });
  const open = new Gauge({
    name: "howdah_rpc_server_open_calls",
    help: "How many calls are being served.",
    labelNames: ["method"] as const,
    registers: [registry],
  });
  return (next) => async (request) => {
    const method = methodName(request);
    const startedAt = performance.now();
    open.inc({ method });
    const ended = (failure?: { error: unknown }) => {
      const code = failure === undefined ? "OK" : Code[ConnectError.from(failure.error).code];
      open.dec({ method });
      seconds.observe({ method, code }, (performance.now() - startedAt) / 1000);
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
