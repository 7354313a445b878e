import { delimiter } from "node:path";
import type { AgentFolders } from "../folders.js";

/** The variable that marks every process of an attempt; its value is `store:task:attempt`, `status:UUID` for a check of a status, `alert:UUID` for an alert's script. */
export const taskVariable = "HOWDAH_TASK";

/** Tells each process which try and step of its attempt it belongs to, such as `1.script` or `2.before-START`. */
export const stepVariable = "HOWDAH_STEP";

/** Marks every process of an alert's script besides; its value is the agent's prefix, so that the next agent finds what one has left. */
export const alertsVariable = "HOWDAH_ALERTS";

/** Never handed on: what the agent itself was given in confidence, or inherited from a command that started it. */
const withheld = [
  "AMBARI_PASSPHRASE",
  "HOWDAH_PASSPHRASE",
  "HOWDAH_JOIN_TOKEN",
  taskVariable,
  stepVariable,
  alertsVariable,
];

/**
 * The environment of a command's scripts: the agent's own, Ambari's variables with our folders, what is added, and the tag,
 * `HOWDAH_TASK`. The agent's folders lead the PATH, whoever set that, so that stacks find `ambari-sudo.sh` there.
 */
export function scriptEnvironment(
  folders: AgentFolders,
  tag: string,
  extra: Readonly<Record<string, string>>,
  own: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries({ ...own, ...extra })) {
    if (value !== undefined && !withheld.includes(name)) environment[name] = value;
  }
  const path = environment.PATH ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  environment.PATH = [folders.bin, folders.prefix, path].join(delimiter);
  environment.PYTHONPATH = [folders.lib, environment.PYTHONPATH].filter(Boolean).join(delimiter);
  environment.AMBARI_AGENT_CONF_DIR = folders.conf;
  environment.AMBARI_AGENT_LOG_DIR = folders.log;
  environment.AMBARI_PID_DIR = folders.run;
  environment[taskVariable] = tag;
  return environment;
}
