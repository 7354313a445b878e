import { parseArgs } from "node:util";
import type { ClientTlsFiles } from "@howdah/rpc/tls";
import { parseDuration } from "@howdah/service/duration";
import type { Behaviour } from "./behaviour.js";

/** Thrown when the command line asks for what cannot be; the message names the option, its value and what it may be. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What the simulator was asked for. */
export interface CommandLine {
  readonly agents: number;
  /** Where dispatchers listen for agents; none: start a whole system of our own. */
  readonly servers: readonly string[];
  /** With which the agents connect; undefined: plaintext. */
  readonly tls: ClientTlsFiles | undefined;
  readonly behaviour: Behaviour;
  readonly prefix: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly connectRate: number;
  readonly reportEveryMs: number;
  readonly json: boolean;
  readonly logLevel: string;
}

/** What `--help` says. */
export const usage = `usage: npm run fleet -- --agents N [OPTION…]
Plays N hosts in one process, each an agent with a connection of its own, whose commands only let time pass.
  --agents N             how many, 1 to 99,999
  --server HOST:PORT     where a dispatcher listens for agents; several with commas. Default: start a system of our own
  --tls-ca FILE          the roots of the servers' certificates, PEM: connect with TLS. Default: plaintext
  --tls-cert FILE        the certificate that every agent shows, PEM; needs --tls-ca and --tls-key
  --tls-key FILE         its key, PEM
  --duration MIN-MAX     how long a command runs, anywhere between the two, or one duration. Default 50ms-500ms
  --failure-rate SHARE   how many of the commands fail, 0 to 1. Default 0
  --output BYTES         what each writes to its standard output, at most 1 GiB. Default 0
  --seed N               another number gives commands other durations and failures. Default 1
  --prefix NAME          hosts are called NAME-00001 and so on. Default sim
  --label KEY=VALUE      a label of every host besides simulated=true; may be given again
  --connect-rate N       how many begin to connect in a second. Default 500
  --report-every TIME    how often to tell the counts. Default 5s
  --json                 tell them as JSON, a line each
  --log-level LEVEL      what the agents log, to the standard error: debug, info, warn, error or silent. Default error
  --help`;

const levels = ["debug", "info", "warn", "error", "silent"];
const mostOutput = 2 ** 30;

/** Reads the command line; "help" when that is what was asked for. Throws UsageError. */
export function readCommandLine(args: readonly string[]): CommandLine | "help" {
  const values = parse(args);
  if (values.help === true) return "help";
  if (values.agents === undefined) throw new UsageError("--agents N is needed: how many to play");
  return {
    agents: wholeNumber("--agents", values.agents, 1, 99_999),
    servers: values.server === undefined ? [] : serversOf(values.server),
    tls: tlsOf(values["tls-ca"], values["tls-cert"], values["tls-key"], values.server),
    behaviour: {
      durationMs: durationsOf(values.duration),
      failureRate: shareOf(values["failure-rate"]),
      outputBytes: wholeNumber("--output", values.output, 0, mostOutput),
      seed: wholeNumber("--seed", values.seed, 0, Number.MAX_SAFE_INTEGER),
    },
    prefix: prefixOf(values.prefix),
    labels: { simulated: "true", ...Object.fromEntries((values.label ?? []).map(labelOf)) },
    connectRate: wholeNumber("--connect-rate", values["connect-rate"], 1, 100_000),
    reportEveryMs: durationOf("--report-every", values["report-every"], 100),
    json: values.json === true,
    logLevel: levelOf(values["log-level"]),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        agents: { type: "string" },
        server: { type: "string" },
        "tls-ca": { type: "string" },
        "tls-cert": { type: "string" },
        "tls-key": { type: "string" },
        duration: { type: "string", default: "50ms-500ms" },
        "failure-rate": { type: "string", default: "0" },
        output: { type: "string", default: "0" },
        seed: { type: "string", default: "1" },
        prefix: { type: "string", default: "sim" },
        label: { type: "string", multiple: true },
        "connect-rate": { type: "string", default: "500" },
        "report-every": { type: "string", default: "5s" },
        json: { type: "boolean" },
        "log-level": { type: "string", default: "error" },
        help: { type: "boolean" },
      },
    }).values;
  } catch (error) {
    const [what] = (error as Error).message.split(/\. |\.?\n/);
    throw new UsageError(`${what}; --help lists the options`);
  }
}

function wholeNumber(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  const range = `${least} to ${most.toLocaleString("en")}`;
  throw new UsageError(`${option} ${JSON.stringify(text)} must be a whole number, ${range}`);
}

function shareOf(text: string): number {
  const value = Number(text);
  if (/^[\d.]+$/.test(text) && value >= 0 && value <= 1) return value;
  throw new UsageError(`--failure-rate ${JSON.stringify(text)} must be a number from 0 to 1`);
}

function durationOf(option: string, text: string, leastMs: number): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms >= leastMs && ms <= 86_400_000) return ms;
  throw new UsageError(
    `${option} ${JSON.stringify(text)} must be a duration from ${leastMs}ms to 1d, such as 5s`,
  );
}

function durationsOf(text: string): readonly [number, number] {
  const ends = text.split("-").map(parseDuration);
  const [least, most = least] = ends;
  const fits = least !== undefined && most !== undefined && least <= most && most <= 86_400_000;
  if (fits && ends.length <= 2 && !ends.includes(undefined)) return [least, most];
  throw new UsageError(
    `--duration ${JSON.stringify(text)} must be a duration or two, the shorter first, such as 50ms-500ms; at most 1d`,
  );
}

function serversOf(text: string): readonly string[] {
  const addresses = text.split(",").map((address) => address.trim());
  const bad = addresses.find((address) => !/^[^\s:/]+:\d{1,5}$|^\[[^\]]+\]:\d{1,5}$/.test(address));
  if (bad === undefined) return addresses;
  throw new UsageError(
    `--server ${JSON.stringify(bad)} must be HOST:PORT, where a dispatcher listens for agents, such as 127.0.0.1:7440`,
  );
}

function tlsOf(
  caFile?: string,
  certFile?: string,
  keyFile?: string,
  server?: string,
): ClientTlsFiles | undefined {
  if ((certFile === undefined) !== (keyFile === undefined)) {
    const [have, lack] =
      certFile === undefined ? ["--tls-key", "--tls-cert"] : ["--tls-cert", "--tls-key"];
    throw new UsageError(`${have} needs ${lack}: a certificate and its key go together`);
  }
  if (caFile !== undefined && server === undefined) {
    throw new UsageError("--tls-ca needs --server: a system of our own has no TLS");
  }
  if (caFile !== undefined) return { caFile, certFile, keyFile };
  if (certFile === undefined) return undefined;
  throw new UsageError("--tls-cert needs --tls-ca: the roots of the servers' certificates");
}

function prefixOf(text: string): string {
  if (/^[a-z0-9]([a-z0-9.-]{0,98}[a-z0-9])?$/.test(text)) return text;
  throw new UsageError(
    `--prefix ${JSON.stringify(text)} must be at most 100 small letters, digits, "." and "-"`,
  );
}

function labelOf(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new UsageError(`--label ${JSON.stringify(text)} must be KEY=VALUE`);
}

function levelOf(text: string): string {
  if (levels.includes(text)) return text;
  throw new UsageError(`--log-level ${JSON.stringify(text)} must be one of ${levels.join(", ")}`);
}
