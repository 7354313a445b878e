import { join } from "node:path";
import { agentUnit } from "@howdah/launcher/agent-unit";
import { startUnit, type Unit } from "@howdah/launcher/unit";
import { type Fleet, root } from "./fleet.js";

/**
 * Starts an agent that the installation did not start. The caller stops it.
 * @param dispatchers where it may connect to, "host:port"
 * @param prefix its folder; default: the one that the fleet has for this host
 * @param ini see AgentHost
 */
export async function startAgent(
  fleet: Fleet,
  host: string,
  dispatchers: string[],
  prefix = fleet.prefix(host),
  ini = "",
): Promise<Unit> {
  const options = await agentUnit(
    { host, prefix, dispatchers, ini },
    {
      root,
      logFolder: join(fleet.dir, "log"),
      runFolder: join(fleet.dir, "run"),
      env: { HOWDAH_LOG_LEVEL: "info" },
    },
  );
  return startUnit(options);
}

/** Where agents reach the first dispatcher. */
export function agentsDoor({ installation }: Fleet): string {
  return installation.dispatcher.addresses.agents ?? "";
}
