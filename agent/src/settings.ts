import { dirname, resolve } from "node:path";
import type { CleanSettings } from "./clean/cleaner.js";
import type { FolderOverrides } from "./folders.js";
import { readIni, SettingsError } from "./settings/read-settings.js";

export { SettingsError } from "./settings/read-settings.js";

/** What the ini file says. */
export interface Settings {
  readonly server: {
    readonly addresses: readonly string[];
    readonly caFile: string | undefined;
    readonly certFile: string | undefined;
    readonly keyFile: string | undefined;
  };
  /** In lower case. */
  readonly hostName: string;
  /** The name by which others reach the host. */
  readonly publicHostName: string;
  readonly prefix: string;
  /** Folders that are not where the prefix puts them; the one of the ini file is always told. */
  readonly folders: FolderOverrides;
  readonly log: {
    readonly level: "debug" | "info" | "warn" | "error";
    readonly maxBytes: number;
    /** Former files that are kept besides the one that is written. */
    readonly maxFiles: number;
  };
  readonly python: string;
  /** What every script is told, and what becomes of its files. */
  readonly scripts: {
    readonly protocol: string;
    readonly caCertPath: string;
    readonly logOutFiles: boolean;
    readonly logOutput: boolean;
    readonly commandFiles: "keep" | "remove" | "remove_on_success";
    readonly useSystemProxySettings: boolean;
    readonly parallelExecution: boolean;
  };
  /** A folder of JSON files with facts about the host that an operator states. */
  readonly resourceOverrides: string | undefined;
  readonly componentStatusIntervalMs: number;
  readonly clean: CleanSettings;
  readonly labels: Readonly<Record<string, string>>;
  /** Variables that every script is given. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Reads `howdah-agent.ini`. Throws SettingsError, naming the file, the line, the section, the key and what is wrong. */
export function readSettings(file: string): Settings {
  const { server, agent, labels, environment } = readIni(file);
  const folders = {
    conf: dirname(resolve(file)),
    ...(agent.data_dir !== undefined && { data: agent.data_dir }),
    ...(agent.cache_dir !== undefined && { cache: agent.cache_dir }),
    ...(agent.log_dir !== undefined && { log: agent.log_dir }),
    ...(agent.run_dir !== undefined && { run: agent.run_dir }),
    ...(agent.tmp_dir !== undefined && { tmp: agent.tmp_dir }),
  };
  refuseSharedFolders(file, agent.prefix, folders);
  return {
    server: {
      addresses: server.address,
      caFile: server.ca_file,
      certFile: server.cert_file,
      keyFile: server.key_file,
    },
    hostName: agent.hostname,
    publicHostName: agent.public_hostname ?? agent.hostname,
    resourceOverrides: agent.system_resource_overrides,
    prefix: agent.prefix,
    folders,
    log: { level: agent.log_level, maxBytes: agent.log_max_size, maxFiles: agent.log_max_files },
    python: agent.python,
    scripts: {
      protocol: agent.force_https_protocol,
      caCertPath: agent.ca_cert_path ?? "",
      logOutFiles: agent.log_out_files,
      logOutput: agent.log_command_executes,
      commandFiles: agent.command_file_retention_policy,
      useSystemProxySettings: agent.use_system_proxy_settings,
      parallelExecution: agent.parallel_execution,
    },
    componentStatusIntervalMs: agent.component_status_interval,
    clean: {
      intervalMs: agent.data_cleanup_interval,
      dataMaxAgeMs: agent.data_cleanup_max_age,
      dataMaxBytes: agent.data_cleanup_max_size,
      cacheMaxAgeMs: agent.cache_max_age,
    },
    labels,
    environment:
      agent.python_path === undefined
        ? environment
        : { PYTHONPATH: agent.python_path, ...environment },
  };
}

/** One folder in another would be cleaned or opened to everybody together with it; so would what is not the agent's. */
function refuseSharedFolders(file: string, prefix: string, overrides: FolderOverrides): void {
  const keys = ["data", "cache", "log", "run", "tmp"] as const;
  const places = keys.map((name) => ({
    name: `${name}_dir`,
    path: overrides[name] ?? `${prefix}/${name}`,
  }));
  const problems: string[] = [];
  for (const { name, path } of [{ name: "prefix", path: prefix }, ...places]) {
    if (path === "/") problems.push(`${file}: [agent] ${name} must not be /`);
    if (path !== prefix || name === "prefix") continue;
    problems.push(`${file}: [agent] ${name} must not be the prefix itself`);
  }
  for (const { name, path } of places) {
    for (const other of places) {
      if (other.name === name || !`${path}/`.startsWith(`${other.path}/`)) continue;
      if (path === other.path && name > other.name) continue;
      problems.push(
        `${file}: [agent] ${name} ${path} is in ${other.name} ${other.path}; each needs a folder of its own`,
      );
    }
  }
  if (problems.length > 0) throw new SettingsError(problems);
}
