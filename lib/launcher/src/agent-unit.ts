import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { recordFileOf } from "./leftovers.js";
import { logLine } from "./log-line.js";
import { baseEnvironment, type Surroundings } from "./service-unit.js";
import type { UnitOptions } from "./unit.js";

/** An agent that plays a host. */
export interface AgentHost {
  /** The host's name in the fleet, such as "host1"; need not resolve. */
  host: string;
  /** Its folder: data, cache, log, conf. Made when it is not there. */
  prefix: string;
  /** The dispatchers it may connect to, "host:port". */
  dispatchers: string[];
  /** More of the ini file, behind the keys of [agent] that are written anyway. Default nothing. */
  ini?: string;
}

/**
 * Writes the agent's ini file, and says how to start the agent. It counts as ready when it logs that it has started;
 * whether it has registered, the fleet tells.
 */
export async function agentUnit(agent: AgentHost, around: Surroundings): Promise<UnitOptions> {
  const { host, prefix } = agent;
  const conf = join(prefix, "conf");
  await mkdir(conf, { recursive: true });
  const iniFile = join(conf, "howdah-agent.ini");
  await writeFile(iniFile, agentIni(agent));
  return () => ({
    name: `agent-${host}`,
    file: process.execPath,
    args: [
      "--enable-source-maps",
      join(around.root, "agent", "dist", "main.js"),
      "--config",
      iniFile,
    ],
    env: { ...baseEnvironment(), ...around.env },
    cwd: prefix,
    logFile: join(around.logFolder, `agent-${host}.log`),
    recordFile: recordFileOf(around.runFolder, `agent-${host}`),
    readyWhen: async (starting) => {
      await logLine("started", starting);
      return {}; // it listens nowhere
    },
  });
}

function agentIni({ host, prefix, dispatchers, ini = "" }: AgentHost): string {
  return `; Written by the launcher at every start.
[server]
address = ${dispatchers.join(",")}

[agent]
hostname = ${host}
prefix = ${prefix}
${ini}`;
}
