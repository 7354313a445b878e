import { TlsFileError } from "@howdah/rpc/tls";
import type { Logger } from "pino";
import { type CommonConfig, readServiceConfig, serverTls } from "./common-config.js";
import { type Config, ConfigError, type Fields } from "./config.js";
import { limitConnections } from "./limit-connections.js";
import { createLog } from "./log.js";
import { type Metrics, startMetrics } from "./metrics.js";

/** What a service is started with. */
export interface ServiceContext<F extends Fields> {
  /** The service's name. */
  readonly name: string;
  /** Its settings, those that every service has among them. */
  readonly config: CommonConfig & Config<F>;
  readonly log: Logger;
  /** Pass `metrics.observe` to every server as its `observe`; undefined where HOWDAH_METRICS_LISTEN is not set. */
  readonly metrics: Metrics | undefined;
  /** Aborts when the process is told to stop: a start that waits for something must give up then. */
  readonly signal: AbortSignal;
  /** Ends the process as failed, for a service that finds it cannot go on; it is stopped first. */
  fail(error: unknown): void;
}

/** A service that runs. */
export interface RunningService {
  /** Where it listens, by the listener's name: `{ main: "127.0.0.1:7420" }`. */
  readonly addresses: Record<string, string>;
  /** Drains and closes all; called once. */
  stop(): Promise<void>;
}

/** How to run a service. */
export interface ServiceOptions<F extends Fields> {
  /** The service's name, such as "scheduler"; in its log lines. */
  name: string;
  /** Where it listens unless HOWDAH_LISTEN says otherwise. */
  listen: string;
  /** The settings that only it has. */
  config: F;
  /** Starts it; resolves once it serves. */
  start(context: ServiceContext<F>): Promise<RunningService>;
}

/**
 * Runs a service as this process: reads its settings, starts it, writes one log line with msg "listening" and
 * `addresses` when it serves (whatever HOWDAH_LOG_LEVEL says), and stops it on SIGTERM or SIGINT within
 * HOWDAH_SHUTDOWN_GRACE (a second signal ends the process at once). Exit codes: 0 after a stop, 1 after a failure, 2 when
 * the operator has to change something: then the problem is told in one line, without a stack. Does not return before the
 * process is over.
 */
export async function runService<F extends Fields>(options: ServiceOptions<F>): Promise<void> {
  const { name } = options;
  const config = configOrExit(options);
  const log = createLog({ service: name, instance: config.instance, level: config.logLevel });
  const stopping = new AbortController();
  let exitCode = 0;

  const stop = (reason: string) => {
    if (stopping.signal.aborted) process.exit(exitCode || 1);
    log.info({ reason }, "stopping");
    stopping.abort(new Error(`stopped by ${reason}`));
    setTimeout(() => {
      log.error({ graceMs: config.shutdownGraceMs }, "not stopped within the grace, ending");
      process.exit(1);
    }, config.shutdownGraceMs).unref();
  };
  const fail = (error: unknown) => {
    exitCode = 1;
    log.fatal({ err: error }, `${name} failed`);
    if (!stopping.signal.aborted) stop("failure");
  };
  process.on("SIGTERM", () => stop("SIGTERM"));
  process.on("SIGINT", () => stop("SIGINT"));
  process.on("uncaughtException", (error) => {
    log.fatal({ err: error }, "uncaught error");
    process.exit(1);
  });

  log.info({ config, pid: process.pid, node: process.version }, "starting");
  limitConnections(log);
  const { signal } = stopping;
  let service: RunningService | undefined;
  try {
    const { metricsListen } = config;
    const metrics = metricsListen
      ? await startMetrics(metricsListen, serverTls(config))
      : undefined;
    service = await options.start({ name, config, log, metrics, signal, fail });
    const addresses = { ...service.addresses, ...(metrics && { metrics: metrics.address }) };
    // At every level: whoever started it, such as the launcher, learns from this line that it serves, and where.
    log.child({}, { level: "info" }).info({ addresses }, "listening");
    if (!signal.aborted) {
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    }
    await service.stop();
    log.info("stopped");
  } catch (error) {
    // A start that was told to give up may say so with any error.
    if (service === undefined && signal.aborted) log.info("stopped before it served");
    else exitCode ||= explain(log, error);
  }
  process.exit(exitCode);
}

/** Says why a service ended; the exit code. */
function explain(log: Logger, error: unknown): number {
  if (isOperators(error)) {
    log.fatal(error.message);
    return 2;
  }
  log.fatal({ err: error }, "failed");
  return 1;
}

/** Errors about a setting or a file that an operator chose; by contract their message starts with the setting's name. */
function isOperators(error: unknown): error is Error {
  if (error instanceof ConfigError || error instanceof TlsFileError) return true;
  return error instanceof Error && /^HOWDAH_[A-Z_]+: /.test(error.message);
}

function configOrExit<F extends Fields>({ name, listen, config }: ServiceOptions<F>) {
  try {
    return readServiceConfig(listen, config, process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const problem of error.problems) process.stderr.write(`${name}: ${problem}\n`);
    process.exit(2);
  }
}
