import { existsSync } from "node:fs";
import { isAbsolute, join, normalize } from "node:path";
import type { AgentFolders } from "../folders.js";
import { keyText } from "../task-key.js";
import {
  type CommandSpec,
  commandName,
  type ScriptRun,
  type ScriptSettings,
} from "./command-spec.js";
import type { DataFiles } from "./data-files.js";
import { scriptEnvironment, taskVariable } from "./script-environment.js";

/** One step of every try. */
export interface PlannedStep {
  /** Unique in the plan; part of the names of its records. */
  readonly name: string;
  readonly argv: readonly string[];
}

/**
 * What an attempt runs, settled once before its first step and kept on disk (it is plain JSON): a restarted agent goes
 * on with the same steps even if the hooks on disk are others by then.
 */
export interface CommandPlan {
  readonly steps: readonly PlannedStep[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
  /** `HOWDAH_TASK=…`, in the environment of all its processes. */
  readonly tag: string;
  readonly timeoutMs: number;
  readonly graceMs: number;
  readonly packageManagerWaitMs: number;
  readonly retryMs: number;
  /** What messages call the thing that ran. */
  readonly noun: string;
  /** An operator's own command line: its output is all its own, down to the last byte. */
  readonly adHoc: boolean;
  /** Whether the agent's log may have its output too; absent in what an older agent has kept. */
  readonly logOutput?: boolean;
}

/** The files that a script is told of. */
export type ScriptFiles = Pick<DataFiles, "command" | "structuredOut">;

/** Thrown when a command can't run as it is: a script that is missing, a name that leads out of its folder. */
export class CommandPlanError extends Error {
  override readonly name = "CommandPlanError";
}

/** Settles what a command runs. Looks at the disk for its script and hooks; changes nothing. */
export function planCommand(
  spec: CommandSpec,
  files: DataFiles,
  folders: AgentFolders,
  settings: ScriptSettings = {},
): CommandPlan {
  return {
    steps: planSteps(spec, files, folders, settings),
    cwd: folders.prefix,
    environment: scriptEnvironment(folders, keyText(spec.key), spec.environment),
    tag: `${taskVariable}=${keyText(spec.key)}`,
    timeoutMs: spec.timeoutMs,
    graceMs: spec.graceMs ?? 5_000,
    packageManagerWaitMs: spec.packageManagerWaitMs ?? 600_000,
    retryMs: spec.retryMs ?? 0,
    noun:
      spec.run.kind === "script" && spec.run.scriptType === "PYTHON" ? "Python script" : "Command",
    adHoc: spec.run.kind !== "script",
    logOutput: spec.commandParams.log_output !== "false",
  };
}

function planSteps(
  spec: CommandSpec,
  files: DataFiles,
  folders: AgentFolders,
  settings: ScriptSettings,
): PlannedStep[] {
  const { run } = spec;
  if (run.kind === "shell") return [{ name: "script", argv: ["/bin/sh", "-c", run.line] }];
  if (run.kind === "argv") {
    const [program = ""] = run.argv;
    if (program === "" || program.startsWith("-")) {
      throw new CommandPlanError(`${JSON.stringify(program)} is not the name of a program`);
    }
    return [{ name: "script", argv: run.argv }];
  }
  const name = commandName(spec);
  const argumentsFor = (baseDir: string) =>
    scriptArguments(name, baseDir, files, folders, settings);
  const hook = (hookName: string): PlannedStep[] => {
    if (run.hooksDir === null) return [];
    const baseDir = join(run.hooksDir, fileName("the hook", hookName));
    const script = join(baseDir, "scripts", "hook.py");
    if (!existsSync(script)) return [];
    const argv = [settings.python ?? "python3", script, ...argumentsFor(baseDir)];
    return [{ name: hookName, argv }];
  };
  const suffixes = hookSuffixes(name, spec.serviceName, spec.role);
  return [
    ...suffixes.flatMap((suffix) => hook(`before-${suffix}`)),
    { name: "script", argv: scriptArgv(run, name, files, folders, settings) },
    ...suffixes.toReversed().flatMap((suffix) => hook(`after-${suffix}`)),
  ];
}

/**
 * The command line of a stack's script. Looks at the disk for the script; throws CommandPlanError.
 * @param name the command, such as START
 */
export function scriptArgv(
  run: ScriptRun,
  name: string,
  files: ScriptFiles,
  folders: AgentFolders,
  settings: ScriptSettings,
): string[] {
  const script = scriptPath(run);
  return [
    ...interpreter(run, settings),
    script,
    ...scriptArguments(name, run.baseDir, files, folders, settings),
  ];
}

/** What Ambari gives every script and hook. */
function scriptArguments(
  name: string,
  baseDir: string,
  files: ScriptFiles,
  folders: AgentFolders,
  settings: ScriptSettings,
): string[] {
  return [
    name,
    files.command,
    baseDir,
    files.structuredOut,
    settings.logLevel ?? "INFO",
    folders.tmp,
    settings.protocol ?? "PROTOCOL_TLSv1_2",
    settings.caCertPath ?? "",
    ...(settings.logOutFiles ? ["-o"] : []),
  ];
}

/** From the general to the particular, as the hooks before a script run. */
function hookSuffixes(name: string, service: string, role: string): string[] {
  if (service === "") return [name];
  return [name, `${name}-${service}`, `${name}-${service}-${role}`];
}

function interpreter(run: ScriptRun, settings: ScriptSettings): string[] {
  switch (run.scriptType) {
    case "PYTHON":
      return [settings.python ?? "python3"];
    case "SHELL":
      return ["/bin/sh"];
    case "EXECUTABLE":
      return [];
  }
}

function scriptPath(run: ScriptRun): string {
  const script = normalize(run.script);
  if (isAbsolute(script) || script.startsWith("..")) {
    throw new CommandPlanError(
      `the script ${JSON.stringify(run.script)} is not below ${run.baseDir}`,
    );
  }
  const path = join(run.baseDir, script);
  if (!existsSync(path)) throw new CommandPlanError(`Script ${path} does not exist`);
  return path;
}

function fileName(what: string, name: string): string {
  if (/^[A-Za-z0-9_.-]+$/.test(name)) return name;
  throw new CommandPlanError(
    `${what} ${JSON.stringify(name)} must be letters, digits, "_", "." or "-"`,
  );
}
