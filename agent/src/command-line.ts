import { parseArgs } from "node:util";
import type { AgentFolders } from "./folders.js";
import { SettingsError } from "./settings.js";

const defaultConfig = "/var/lib/howdah-agent/conf/howdah-agent.ini";

/** What the agent was called with. */
export interface CommandLine {
  /** The ini file. Default `/var/lib/howdah-agent/conf/howdah-agent.ini`. */
  readonly config: string;
  /** Log to `howdah-agent.log` in the log folder instead of the standard output. */
  readonly logFile: boolean;
  /** What to do. run: be the agent. The others end at once. */
  readonly action: "run" | "print-folders" | "reset" | "version";
  /** Of reset: lose what is not delivered. */
  readonly force: boolean;
}

/** Reads the command line. Throws SettingsError. */
export function readCommandLine(args: readonly string[]): CommandLine {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        config: { type: "string", default: defaultConfig },
        "log-file": { type: "boolean", default: false },
        "print-folders": { type: "boolean", default: false },
        reset: { type: "boolean", default: false },
        force: { type: "boolean", default: false },
        version: { type: "boolean", default: false },
      },
    });
    const actions = (["print-folders", "reset", "version"] as const).filter((name) => values[name]);
    return {
      config: values.config,
      logFile: values["log-file"],
      action: actions[0] ?? "run",
      force: values.force,
    };
  } catch (error) {
    const [what] = (error as Error).message.split(". ");
    throw new SettingsError([
      `${what}; the options are --config FILE, --log-file, --reset [--force], --print-folders, --version`,
    ]);
  }
}

/** Assignments for a shell, of what `bin/howdah-agent` must know. */
export function foldersForShell({ prefix, run, log, lock, pidFile }: AgentFolders): string {
  return Object.entries({ prefix, run, log, lock, pid_file: pidFile })
    .map(([name, path]) => `${name}='${path.replaceAll("'", `'\\''`)}'\n`)
    .join("");
}
