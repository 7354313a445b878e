import { hostname } from "node:os";
import {
  addresses,
  count,
  duration,
  durationOrOff,
  flag,
  hostName,
  oneOf,
  path,
  size,
  text,
  type ValueKind,
} from "./values.js";

/** A key of the ini file. */
export interface Key<T> extends ValueKind<T> {
  /** What the README calls the default. */
  readonly shown: string;
  /** Read when the key is not there; undefined: it stays unset. */
  readonly fallback: string | undefined;
  /** It must be there. */
  readonly required: boolean;
}

/** One that is read from a text when it is not there. */
function key<T>(kind: ValueKind<T>, fallback: string, shown = `\`${fallback}\``): Key<T> {
  return { ...kind, fallback, shown, required: false };
}

/** One that may be missing. */
function optional<T>(kind: ValueKind<T>, shown: string): Key<T | undefined> {
  return { ...kind, shown, fallback: undefined, required: false };
}

/** The keys of [server]: where the dispatchers are, and TLS. */
export const serverKeys = {
  address: { ...addresses, shown: "none, must be set", fallback: undefined, required: true },
  ca_file: optional(path, "plaintext"),
  cert_file: optional(path, "none"),
  key_file: optional(path, "none"),
} as const;

/** The keys of [agent]. */
export const agentKeys = {
  hostname: key(hostName, hostname(), "the machine's"),
  public_hostname: optional(hostName, "`hostname`"),
  prefix: key(path, "/var/lib/howdah-agent"),
  data_dir: optional(path, "`PREFIX/data`"),
  cache_dir: optional(path, "`PREFIX/cache`"),
  log_dir: optional(path, "`PREFIX/log`"),
  run_dir: optional(path, "`PREFIX/run`"),
  tmp_dir: optional(path, "`PREFIX/tmp`"),
  log_level: key(oneOf("debug", "info", "warn", "error"), "info"),
  log_max_size: key(size("100KB", "10GB"), "10MB"),
  log_max_files: key(count(0, 1_000), "25"),
  python: key(text, "/usr/bin/python3"),
  python_path: optional(text, "none"),
  force_https_protocol: key(text, "PROTOCOL_TLSv1_2"),
  ca_cert_path: optional(path, "empty"),
  log_out_files: key(flag, "false"),
  log_command_executes: key(flag, "false"),
  command_file_retention_policy: key(oneOf("keep", "remove", "remove_on_success"), "keep"),
  use_system_proxy_settings: key(flag, "true"),
  parallel_execution: key(flag, "false"),
  system_resource_overrides: optional(path, "none"),
  component_status_interval: key(duration("1s", "24h"), "60s"),
  data_cleanup_interval: key(durationOrOff("1h", "7d"), "1d"),
  data_cleanup_max_age: key(duration("1d", "3650d"), "30d"),
  data_cleanup_max_size: key(size("1MB", "1000TB"), "100MB"),
  cache_max_age: key(duration("1d", "3650d"), "30d"),
} as const;

/** The sections whose keys are all known. In the others, `labels` and `environment`, keys are names. */
export const knownKeys = { server: serverKeys, agent: agentKeys } as const;

/** Every section. */
export const sectionNames = ["server", "agent", "labels", "environment"] as const;

/** What a section's keys are read into. */
export type ValuesOf<S extends Readonly<Record<string, Key<unknown>>>> = {
  readonly [K in keyof S]: S[K] extends Key<infer T> ? T : never;
};
