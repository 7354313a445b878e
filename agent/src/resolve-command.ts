import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import {
  type CommandSpec,
  type ExecutionCommand,
  ExecutionCommandSchema,
  ScriptType,
} from "@howdah/proto/howdah/v1/command";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { linkPackage } from "./cache-links.js";
import { type AgentFacts, assembleCommandJson, type CachedDocuments } from "./command-json.js";
import type { AgentFolders } from "./folders.js";
import type { JournalEntry } from "./journal/entry.js";
import { isJsonObject, type Json, type JsonObject } from "./json.js";
import { packageListOf } from "./os-packages.js";
import type { PackageCache } from "./package-cache.js";
import type { CommandSpec as RunSpec, ScriptRun } from "./run/command-spec.js";

const defaultTimeoutMs = 900_000;
/** Anything longer is as good as none. */
const longestTimeoutMs = 10 * 365 * 24 * 3_600_000;
const noDocument: JsonObject = {};

const scriptTypes = {
  [ScriptType.PYTHON]: "PYTHON",
  [ScriptType.SHELL]: "SHELL",
  [ScriptType.EXECUTABLE]: "EXECUTABLE",
} as const;

/** What making a command ready needs. */
export interface ResolveOptions {
  readonly folders: AgentFolders;
  readonly packages: PackageCache;
  readonly facts: AgentFacts;
}

/** Makes a journal entry's command ready to run: fetches the packages and documents it names, assembles its command file. */
export async function resolveCommand(
  entry: JournalEntry,
  signal: AbortSignal,
  { folders, packages, facts }: ResolveOptions,
): Promise<RunSpec> {
  // An agent of a later version may have written what this one does not know.
  const command = fromJson(ExecutionCommandSchema, entry.command as JsonValue, {
    ignoreUnknownFields: true,
  });
  const { spec } = command;
  if (spec === undefined) throw new Error("the command says nothing about what to run");
  const roleCommand = RoleCommand[command.roleCommand];
  if (roleCommand === undefined) {
    throw new Error(`this agent does not know the role command ${command.roleCommand}: upgrade it`);
  }
  if (command.roleCommand === RoleCommand.UNSPECIFIED) {
    throw new Error("the command does not say which role command it is: nothing was run");
  }
  const documents = await readDocuments(command, (digest) => packages.document(digest, signal));
  const commandParams = {
    ...(command.roleCommand === RoleCommand.INSTALL && packagesToInstall(spec, documents, facts)),
    ...commandParamsOf(spec),
  };
  const run = await runOf(spec, packages, signal);
  if (run.kind === "script") await linkPackages(folders.cache, run, command, documents);
  return {
    key: entry.key,
    role: command.role,
    roleCommand,
    serviceName: spec.serviceName,
    commandParams,
    run,
    timeoutMs: timeoutOf(spec),
    retryMs: spec.background ? 0 : retryMsOf(commandParams),
    commandJson: assembleCommandJson(headerOf(command, commandParams), documents, facts),
    environment: agentVariables(folders, facts),
  };
}

/** The packages that an INSTALL's script installs, as far as the stack names any. */
function packagesToInstall(
  { serviceName }: CommandSpec,
  { metadata }: CachedDocuments,
  { systemNames = [] }: AgentFacts,
): Record<string, string> {
  const list = packageListOf(metadata, serviceName, systemNames);
  return list === undefined ? {} : { package_list: list };
}

/** For how long a command that fails is tried again in place [A 2.5]: only where its parameters say so. */
function retryMsOf(params: Readonly<Record<string, string>>): number {
  if (params.command_retry_enabled !== "true") return 0;
  const seconds = Number(params.max_duration_for_retries ?? "0");
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds * 1_000, longestTimeoutMs) : 0;
}

/** Lets the script find its package, and the hooks, where Ambari's agent has them. */
async function linkPackages(
  cache: string,
  { baseDir, hooksDir }: ScriptRun,
  { roleCommand, spec }: ExecutionCommand,
  { metadata }: CachedDocuments,
): Promise<void> {
  const action = roleCommand === RoleCommand.ACTIONEXECUTE;
  const folder = action ? "custom_actions" : packageFolderOf(metadata, spec?.serviceName ?? "");
  await linkPackage(cache, folder, baseDir);
  if (hooksDir !== null) await linkPackage(cache, "stack-hooks", hooksDir);
}

/** Where the stacks tree has a service's package; empty when that is not known. */
function packageFolderOf({ serviceLevelParams: services }: JsonObject, name: string): string {
  const service = isJsonObject(services) ? services[name] : undefined;
  const folder = isJsonObject(service) ? service.service_package_folder : undefined;
  return typeof folder === "string" ? folder : "";
}

/** What every script finds in its environment about the agent. */
export function agentVariables(
  { prefix }: AgentFolders,
  { hostName, scriptVariables }: AgentFacts,
): Record<string, string> {
  return { ...scriptVariables, HOWDAH_PREFIX: prefix, HOWDAH_HOSTNAME: hostName };
}

/** The digests of a cluster's documents; empty for what has no cluster. */
export interface DocumentDigests {
  readonly configurationsDigest: string;
  readonly topologyDigest: string;
  readonly metadataDigest: string;
}

/** Reads the documents that a command is assembled from. */
export async function readDocuments(
  { configurationsDigest, topologyDigest, metadataDigest }: DocumentDigests,
  read: (digest: string) => Promise<JsonObject>,
): Promise<CachedDocuments> {
  const document = (digest: string) => (digest === "" ? noDocument : read(digest));
  const [configurations, topology, metadata] = await Promise.all([
    document(configurationsDigest),
    document(topologyDigest),
    document(metadataDigest),
  ]);
  const ambari = metadata.ambariLevelParams;
  const ambariLevelParams = isJsonObject(ambari) ? ambari : {};
  return { configurations, topology, metadata, ambariLevelParams, hostLevelParams: {} };
}

async function runOf(
  spec: CommandSpec,
  packages: PackageCache,
  signal: AbortSignal,
): Promise<RunSpec["run"]> {
  if (spec.argv.length > 0) return { kind: "argv", argv: spec.argv };
  return scriptRunOf(spec, packages, signal);
}

/** The script that a component's command runs, its packages on disk. Throws an Error that says what is lacking. */
export async function scriptRunOf(
  spec: CommandSpec,
  packages: PackageCache,
  signal: AbortSignal,
): Promise<ScriptRun> {
  const { script, scriptType } = spec;
  if (script === "" || scriptType === ScriptType.UNSPECIFIED) {
    throw new Error(`${spec.componentName || spec.serviceName} has no script to run`);
  }
  if (scriptTypes[scriptType] === undefined) {
    throw new Error(`this agent does not know the script type ${scriptType}: upgrade it`);
  }
  if (spec.packageDigest === "") {
    throw new Error(
      `the stack has no package with the scripts of ${spec.serviceName}; add its package folder and push the stack again`,
    );
  }
  const [baseDir, hooksDir] = await Promise.all([
    packages.folder(spec.packageDigest, signal),
    spec.hooksDigest === "" ? null : packages.folder(spec.hooksDigest, signal),
  ]);
  return { kind: "script", scriptType: scriptTypes[scriptType], script, baseDir, hooksDir };
}

/** How long each step may run. */
export function timeoutOf({ timeoutMs }: CommandSpec): number {
  return timeoutMs > 0n ? Math.min(Number(timeoutMs), longestTimeoutMs) : defaultTimeoutMs;
}

/** What scripts find under `commandParams`. */
export function commandParamsOf(spec: CommandSpec): Record<string, string> {
  const params = { ...spec.commandParams };
  if (spec.argv.length > 0) return params;
  return {
    script: spec.script,
    script_type: ScriptType[spec.scriptType],
    command_timeout: String(Math.ceil(timeoutOf(spec) / 1_000)),
    ...(spec.customCommand !== "" && { custom_command: spec.customCommand }),
    ...params,
  };
}

/** The command's own keys of its command file [A 3.6]. */
function headerOf(command: ExecutionCommand, commandParams: JsonObject): JsonObject {
  const { spec, requestId, stageId } = command;
  const header: Record<string, Json> = {
    commandType: spec?.background ? "BACKGROUND_EXECUTION_COMMAND" : "EXECUTION_COMMAND",
    requestId: Number(requestId),
    taskId: Number(command.taskId),
    commandId: `${requestId}-${stageId}`,
    role: command.role,
    roleCommand: RoleCommand[command.roleCommand],
    serviceName: spec?.serviceName || "null",
    clusterName: spec?.clusterName || "null",
    clusterId: spec?.clusterId ? String(spec.clusterId) : "null",
    commandParams,
    roleParams: { ...spec?.roleParams },
  };
  return header;
}
