import type { JsonObject } from "../json.js";
import type { TaskKey } from "../task-key.js";

/** A stack's script with its hooks, called as Ambari calls it. */
export interface ScriptRun {
  readonly kind: "script";
  /** PYTHON and SHELL are given to their interpreters, EXECUTABLE is run itself; all get the same arguments. */
  readonly scriptType: "PYTHON" | "SHELL" | "EXECUTABLE";
  /** Relative to `baseDir`, for example `scripts/namenode.py`. */
  readonly script: string;
  /** The package's folder. */
  readonly baseDir: string;
  /** Holds `before-NAME/scripts/hook.py` and the like; null: no hooks. */
  readonly hooksDir: string | null;
}

/** A command of an operator's own, run as it is, without hooks. */
export type AdHocRun =
  | { readonly kind: "argv"; readonly argv: readonly string[] }
  | { readonly kind: "shell"; readonly line: string };

/** A command with everything it needs to run on this host; plain JSON. */
export interface CommandSpec {
  readonly key: TaskKey;
  readonly role: string;
  /** INSTALL, START, … CUSTOM_COMMAND, ACTIONEXECUTE, EXECUTE. */
  readonly roleCommand: string;
  /** Empty for what belongs to no service. */
  readonly serviceName: string;
  /** `custom_command` names the script's command when `roleCommand` is CUSTOM_COMMAND. */
  readonly commandParams: Readonly<Record<string, string>>;
  readonly run: ScriptRun | AdHocRun;
  /** For each hook and script, and each try, anew; 0: none. */
  readonly timeoutMs: number;
  /** Between SIGTERM and SIGKILL. Default 5 s. */
  readonly graceMs?: number;
  /** How long a package manager is waited for when the command is stopped. Default 10 min. */
  readonly packageManagerWaitMs?: number;
  /** A failed command is tried again in place for so long. Default 0: once. */
  readonly retryMs?: number;
  /** The content of command-N.json. */
  readonly commandJson: JsonObject;
  /** Added to the scripts' environment. */
  readonly environment: Readonly<Record<string, string>>;
}

/** What every script of this agent is told alike. */
export interface ScriptSettings {
  /** Default `python3`. */
  readonly python?: string;
  /** Default `INFO`. */
  readonly logLevel?: string;
  /** Default `PROTOCOL_TLSv1_2`. */
  readonly protocol?: string;
  /** Default empty. */
  readonly caCertPath?: string;
  /** Ends the arguments with `-o`: scripts log to files of their own. Default false. */
  readonly logOutFiles?: boolean;
  /** Whether command-N.json stays when the command has ended. Default keep. */
  readonly commandFiles?: "keep" | "remove" | "remove_on_success";
  /** What commands wrote goes to the agent's log too, passwords masked. Default false. */
  readonly logOutput?: boolean;
}

/** The command's name as scripts and hooks know it. */
export function commandName(spec: CommandSpec): string {
  const custom = spec.commandParams.custom_command;
  return spec.roleCommand === "CUSTOM_COMMAND" && custom ? custom : spec.roleCommand;
}
