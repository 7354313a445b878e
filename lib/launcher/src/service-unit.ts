import { join } from "node:path";
import { recordFileOf } from "./leftovers.js";
import { type Addresses, listening } from "./log-line.js";
import type { ProcessOptions } from "./start-process.js";
import type { UnitOptions } from "./unit.js";

/** The services, by the name of their folder. */
export type ServiceName = "command-store" | "scheduler" | "dispatcher" | "gateway";

/** Where the dispatcher's agents connect, among the addresses it says it listens on. */
export const agentListener = "agents";

const usualPorts: Record<ServiceName, number> = {
  gateway: 7400,
  scheduler: 7410,
  "command-store": 7420,
  dispatcher: 7430,
};
const usualAgentPort = 7440;

/**
 * How Node runs a service. To the engine every buffer is growth of a heap of 15 MiB, so it looked through all of that after each 8 to 15 MiB
 * that passed, half of the process's time with output. Up to 128 MiB it collects what is young only, which is where buffers die. And it
 * does that by itself: several threads take more time to meet than the few MiB take to look through.
 */
export const serviceNodeOptions: readonly string[] = [
  "--initial-old-space-size=128",
  "--no-parallel-scavenge",
];
const nodeOptions = ["--enable-source-maps", ...serviceNodeOptions];

/** What the processes of an installation share. */
export interface Surroundings {
  /** The folder of the repository, or of the installed product: it has `services/` and `agent/`, compiled. */
  root: string;
  logFolder: string;
  runFolder: string;
  /** Added to the environment of every process. */
  env: Readonly<Record<string, string>>;
}

/** This process's environment without what was meant for one of Howdah's own processes; how much is logged is meant for all. */
export function baseEnvironment(own: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const meant = (name: string) => name === "HOWDAH_LOG_LEVEL" || !name.startsWith("HOWDAH_");
  return Object.fromEntries(Object.entries(own).filter(([name]) => meant(name)));
}

/**
 * How to start a service on 127.0.0.1.
 * @param instance its name among its kind, such as "scheduler-1"
 * @param ports "default" the usual ones, "free" any
 * @param env what it needs to find the others
 */
export function serviceUnit(
  service: ServiceName,
  instance: string,
  ports: "default" | "free",
  env: Record<string, string>,
  around: Surroundings,
): UnitOptions {
  const first = (usual: number) => `127.0.0.1:${ports === "default" ? usual : 0}`;
  return (addresses: Addresses | undefined): ProcessOptions<Addresses> => ({
    name: instance,
    file: process.execPath,
    args: [...nodeOptions, join(around.root, "services", service, "dist", "main.js")],
    env: {
      ...baseEnvironment(),
      HOWDAH_LISTEN: addresses?.main ?? first(usualPorts[service]),
      ...(service === "dispatcher" && {
        HOWDAH_AGENT_LISTEN: addresses?.[agentListener] ?? first(usualAgentPort),
      }),
      HOWDAH_INSTANCE: instance,
      ...env,
      ...around.env,
    },
    logFile: join(around.logFolder, `${instance}.log`),
    recordFile: recordFileOf(around.runFolder, instance),
    readyWhen: listening,
  });
}
