import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { agentUnit } from "./agent-unit.js";
import { lockFolder } from "./folder-lock.js";
import { stopLeftovers } from "./leftovers.js";
import { agentListener, type ServiceName, type Surroundings, serviceUnit } from "./service-unit.js";
import { type Mariadb, startMariadb } from "./start-mariadb.js";
import { type Exit, ProcessStartError } from "./start-process.js";
import { startUnit, type Unit, type UnitOptions } from "./unit.js";

export interface InstallationOptions {
  /** Its folder: `mariadb/`, `agents/HOST/`, `log/`, `run/`. Made when it is not there; used again when it is. */
  dir: string;
  /** `mysql://…` of a database. Default: a private MariaDB below `dir`. */
  databaseUrl?: string;
  /** See `MariadbOptions.durable`. Default true. */
  durable?: boolean;
  /** How many agents; their hosts are called host1, host2 and so on. Default 0. */
  agents?: number;
  /** "default": the usual ones, 7400 to 7440. "free": any, for tests side by side. Default "default". */
  ports?: "default" | "free";
  /** How many processes of a service. Default 1 each. A further one listens on a free port. */
  replicas?: Partial<Record<ServiceName, number>>;
  /** Added to the environment of every process, such as HOWDAH_LOG_LEVEL. */
  env?: Readonly<Record<string, string>>;
  /** Added to the environment of one service's process, by its name such as "dispatcher-2". Wins over where the others are. */
  envOf?: (instance: string) => Readonly<Record<string, string>>;
  /** Told in a line of text each what happens. Default: nobody. */
  log?: (line: string) => void;
  /** Called when a process ends that nobody stopped; it is not started again. Default: `log` is told. */
  onExit?: (unit: Unit, exit: Exit) => void;
  /** The folder that has `services/` and `agent/`, compiled. Default: this repository's. */
  root?: string;
}

/** Howdah on one machine. */
export interface Installation {
  /** The private MariaDB, unless a `databaseUrl` was given. */
  readonly mariadb: Mariadb | undefined;
  readonly databaseUrl: string;
  /** The first of each service; all of them are in `services`. */
  readonly commandStore: Unit;
  readonly scheduler: Unit;
  readonly dispatcher: Unit;
  readonly gateway: Unit;
  readonly services: Readonly<Record<ServiceName, readonly Unit[]>>;
  readonly agents: readonly Unit[];
  /** Stops all, the callers before those they call. What agents' commands have started goes on: see `endProcessesBelow`. */
  stop(): Promise<void>;
}

const leftoverGraceMs = 10_000;

/**
 * Starts Howdah on one machine and waits until every service listens. What a killed launcher left running in the folder
 * is ended first. Throws `FolderInUseError`, `FolderUnusableError`, `MariadbMissingError`, `ProcessStartError`; then nothing is left running.
 */
export async function startInstallation(options: InstallationOptions): Promise<Installation> {
  const { log = () => {}, ports = "default" } = options;
  const dir = resolve(options.dir);
  const around: Surroundings = {
    root: options.root ?? fileURLToPath(new URL("../../..", import.meta.url)),
    logFolder: join(dir, "log"),
    runFolder: join(dir, "run"),
    env: options.env ?? {},
  };
  const onExit =
    options.onExit ?? ((unit, { code }) => log(`${unit.name} ended with code ${code}`));
  const lock = await lockFolder(dir);
  // What is started, layer upon layer: stopped from the top.
  const layers: { stop(): Promise<unknown> }[][] = [];
  let stopping = false;
  const stop = async () => {
    stopping = true;
    for (const layer of layers.toReversed()) await Promise.all(layer.map((unit) => unit.stop()));
    await lock.release();
  };
  const startLayer = async (units: UnitOptions[]): Promise<Unit[]> => {
    const layer: Unit[] = [];
    layers.push(layer);
    // All must have come to an end before a failure is told: none may be left behind.
    const starts = await Promise.allSettled(
      units.map(async (options) => {
        const unit = await startUnit(options, onExit);
        layer.push(unit);
        return unit;
      }),
    );
    return starts.map((start) => {
      if (start.status === "rejected") throw start.reason;
      const { name, pid, addresses } = start.value;
      log(`${name} runs (pid ${pid}) ${Object.values(addresses).join(" ")}`.trimEnd());
      return start.value;
    });
  };
  const startServices = (service: ServiceName, env: Record<string, string>) => {
    const count = options.replicas?.[service] ?? 1;
    return startLayer(
      Array.from({ length: count }, (_, n) => {
        const name = `${service}-${n + 1}`;
        const own = { ...env, ...options.envOf?.(name) };
        return serviceUnit(service, name, n === 0 ? ports : "free", own, around);
      }),
    );
  };

  try {
    await mkdir(around.logFolder, { recursive: true });
    await mkdir(around.runFolder, { recursive: true });
    const ended = await stopLeftovers(around.runFolder, leftoverGraceMs);
    if (ended.length > 0) log(`ended what a former run left behind: ${ended.join(", ")}`);
    let mariadb: Mariadb | undefined;
    if (options.databaseUrl === undefined) {
      const { durable = true } = options;
      mariadb = await startMariadb({ dataDir: join(dir, "mariadb"), durable, log });
      layers.push([mariadb]);
      void mariadb.exited.then(({ code }) => {
        if (!stopping) log(`mariadbd ended with code ${code}; see ${join(dir, "mariadb")}`);
      });
    }
    const databaseUrl = options.databaseUrl ?? (mariadb as Mariadb).url;
    const stores = await startServices("command-store", { HOWDAH_DATABASE_URL: databaseUrl });
    const store = { HOWDAH_COMMAND_STORE: mainAddresses(stores) };
    const dispatchers = await startServices("dispatcher", store);
    const schedulers = await startServices("scheduler", store); // finds dispatchers by their leases
    const scheduler = { HOWDAH_SCHEDULER: mainAddresses(schedulers) };
    const gateways = await startServices("gateway", { ...store, ...scheduler });
    const agents = await startLayer(
      await agentUnits(dir, options.agents ?? 0, dispatchers, around),
    );
    return {
      mariadb,
      databaseUrl,
      commandStore: stores[0] as Unit,
      scheduler: schedulers[0] as Unit,
      dispatcher: dispatchers[0] as Unit,
      gateway: gateways[0] as Unit,
      services: {
        "command-store": stores,
        dispatcher: dispatchers,
        scheduler: schedulers,
        gateway: gateways,
      },
      agents,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function mainAddresses(units: Unit[]): string {
  return units.map((unit) => addressOf(unit, "main")).join(",");
}

function addressOf(unit: Unit, listener: string): string {
  const address = unit.addresses[listener];
  if (address) return address;
  const names = Object.keys(unit.addresses).join(", ");
  throw new ProcessStartError(
    `${unit.name} does not say where its listener "${listener}" is, only: ${names}`,
  );
}

function agentUnits(
  dir: string,
  count: number,
  dispatchers: Unit[],
  around: Surroundings,
): Promise<UnitOptions[]> {
  const addresses = dispatchers.map((unit) => addressOf(unit, agentListener));
  return Promise.all(
    Array.from({ length: count }, (_, n) => {
      const host = `host${n + 1}`;
      const prefix = join(dir, "agents", host);
      return agentUnit({ host, prefix, dispatchers: addresses }, around);
    }),
  );
}
