import { hostname } from "node:os";
import { assertListenAllowed, parseListenAddress } from "@howdah/rpc/listen-address";
import type { ClientTlsFiles, TlsFiles } from "@howdah/rpc/tls";
import { type Config, ConfigError, type Fields, readConfig, variableOf } from "./config.js";
import { address, addresses, duration, oneOf, optionalText, text } from "./fields.js";
import { logLevels } from "./log.js";

/** Where the other services are, for those that call them: `{ commandStore: serviceAddresses.commandStore }`. */
export const serviceAddresses = {
  commandStore: addresses("127.0.0.1:7420"),
  scheduler: addresses("127.0.0.1:7410"),
  dispatcher: addresses("127.0.0.1:7430"),
};

/** The settings that every service has. */
export function commonFields(listen: string) {
  return {
    /** Where it listens. */
    listen: address(listen),
    /** Where others reach it. Default: where it listens. */
    advertise: address().optional(),
    /** Default info. */
    logLevel: oneOf(logLevels, "info"),
    /** A stable name among services of its kind. Default: the host name. */
    instance: text(hostname()),
    /** PEM files; with them it listens with TLS and calls other services with TLS. */
    tlsCert: optionalText(),
    tlsKey: optionalText(),
    /** The roots of the others' certificates; with it callers must show a certificate. */
    tlsCa: optionalText(),
    /** Where Prometheus reads metrics over HTTP (HTTPS where TLS is set up). Default: nowhere, and none are kept. */
    metricsListen: address().optional(),
    /** How long a stop may take before the process ends regardless. Default 12s. */
    shutdownGraceMs: duration("12s"),
  };
}

/** What every service has for settings. */
export type CommonConfig = Config<ReturnType<typeof commonFields>>;

/**
 * Reads a service's settings, and checks those that must fit together. Throws ConfigError.
 * @param listen the service's usual address
 */
export function readServiceConfig<F extends Fields>(
  listen: string,
  fields: F,
  env: Record<string, string | undefined>,
): CommonConfig & Config<F> {
  const config = readConfig({ ...commonFields(listen), ...fields }, env) as CommonConfig &
    Config<F>;
  const problems = [...tlsProblems(config), ...listenProblems(config)];
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

/** The TLS files of the service's own server; undefined for plaintext. */
export function serverTls({ tlsCert, tlsKey, tlsCa }: CommonConfig): TlsFiles | undefined {
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  return { certFile: tlsCert, keyFile: tlsKey, caFile: tlsCa };
}

/** The TLS files with which the service calls others; undefined for plaintext. */
export function clientTls({ tlsCert, tlsKey, tlsCa }: CommonConfig): ClientTlsFiles | undefined {
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  return { certFile: tlsCert, keyFile: tlsKey, caFile: tlsCa };
}

/** Where others reach the service, given where it really listens: HOWDAH_ADVERTISE, else that. */
export function advertised({ advertise }: CommonConfig, listening: string): string {
  return advertise ?? listening;
}

function tlsProblems({ tlsCert, tlsKey, tlsCa }: CommonConfig): string[] {
  const [cert, key, ca] = ["tlsCert", "tlsKey", "tlsCa"].map(variableOf);
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    const [have, lack] = tlsCert === undefined ? [key, cert] : [cert, key];
    return [`${lack}: is not set although ${have} is; a certificate needs its key, set both`];
  }
  if (tlsCa !== undefined && tlsCert === undefined) {
    return [`${cert}: is not set although ${ca} is; set ${cert} and ${key} too, or none of them`];
  }
  return [];
}

function listenProblems(config: CommonConfig): string[] {
  const listen = parseListenAddress(config.listen);
  const problems: string[] = [];
  for (const field of ["listen", "metricsListen"] as const) {
    const text = config[field];
    if (text === undefined) continue;
    try {
      assertListenAllowed(
        parseListenAddress(text),
        config.tlsCert !== undefined,
        variableOf(field),
      );
    } catch (error) {
      problems.push((error as Error).message);
    }
  }
  if (["0.0.0.0", "::"].includes(listen.host) && config.advertise === undefined) {
    problems.push(
      `${variableOf("advertise")}: is not set although ${variableOf("listen")} is ${config.listen}, which nobody can connect to; set it to this host's name and port`,
    );
  }
  return problems;
}
