import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { agentUnit } from "@howdah/launcher/agent-unit";
import { endProcessesBelow } from "@howdah/launcher/find-processes";
import {
  agentListener,
  type ServiceName,
  type Surroundings,
  serviceUnit,
} from "@howdah/launcher/service-unit";
import { type ClockMover, findClockMover } from "./clock.js";
import { type Link, openLink } from "./link.js";
import { databasePart, type Part, unitPart } from "./part.js";
import { mountSmallDisk } from "./small-disk.js";

/** The repository. */
export const root = fileURLToPath(new URL("../../../..", import.meta.url));

/** An agent, and what can be done to its host. */
export interface Host {
  readonly name: string;
  readonly part: Part;
  readonly prefix: string;
  /** Where its scripts write down that they ran; not on its small disk. */
  readonly scriptLog: string;
  /** Its prefix is a small file system of its own. */
  readonly smallDisk: boolean;
  /** Moves its wall clock; absent where that cannot be done. */
  readonly clock: ClockMover | undefined;
}

/** A fleet of real processes in which every connection goes through a link. */
export interface ChaosFleet {
  readonly dir: string;
  readonly database: Part & { readonly url: string };
  readonly services: readonly Part[];
  readonly hosts: readonly Host[];
  readonly links: readonly Link[];
  /** The links by which operators reach the gateways, and by which a test reaches the stores, in the order of the services. */
  readonly doors: { readonly gateways: readonly Link[]; readonly stores: readonly Link[] };
  /** What this machine cannot do, in a line each. */
  readonly skipped: readonly string[];
  /** Ends all. `keep`: leave the folder there. */
  stop(keep?: boolean): Promise<void>;
}

/** How a fleet is made. */
export interface ChaosFleetOptions {
  readonly agents: number;
  /** Told what goes on, a line each. */
  readonly log: (line: string) => void;
  /** Told when a process ended that nobody killed. */
  readonly onExit: (part: Part, code: number) => void;
}

const twice = [1, 2];
const specialHosts = 3;
/** How often components are looked at, so that what died is soon seen. */
const statusEvery = "15s";
/** So many agents start at a time. */
const startsAtOnce = 4;

/** Starts a database, each service twice, and agents, and connects them by links. All is ended when it throws. */
export async function startChaosFleet(options: ChaosFleetOptions): Promise<ChaosFleet> {
  const { log, onExit } = options;
  const dir = mkdtempSync(join(tmpdir(), "howdah-chaos-"));
  log(`folder ${dir}`);
  const around: Surroundings = {
    root,
    logFolder: join(dir, "log"),
    runFolder: join(dir, "run"),
    env: { HOWDAH_LOG_LEVEL: "info", HOWDAH_STATUS_CHECK_EVERY: statusEvery },
  };
  for (const folder of [around.logFolder, around.runFolder, join(dir, "scripts")]) {
    mkdirSync(folder);
  }
  const links: Link[] = [];
  const services: Part[] = [];
  const hosts: Host[] = [];
  const skipped: string[] = [];
  const undo: (() => void)[] = [];
  const database = databasePart(join(dir, "mariadb"));
  const stop = async (keep = false) => {
    await Promise.all(hosts.map(({ part }) => part.stop()));
    for (const kind of ["gateway", "scheduler", "dispatcher", "command-store"]) {
      await Promise.all(services.filter((part) => part.kind === kind).map((part) => part.stop()));
    }
    await database.stop();
    for (const link of links) link.close();
    await endProcessesBelow(dir);
    for (const step of undo) step();
    if (!keep) rmSync(dir, { recursive: true, force: true });
  };
  const link = async (from: string, to: Part, listener = "main") => {
    const made = await openLink(`${from}>${to.name}`, () => to.port(listener));
    links.push(made);
    return made;
  };
  const linksTo = async (from: string, kind: ServiceName, listener?: string) => {
    const targets = services.filter((part) => part.kind === kind);
    return Promise.all(targets.map((to) => link(from, to, listener)));
  };
  const list = (to: readonly Link[]) => to.map(({ address }) => address).join(",");

  /** Makes both processes of a service; `environment` says how they find the others. */
  const startTwice = async (
    service: ServiceName,
    environment: (name: string) => Promise<Record<string, string>>,
  ) => {
    for (const n of twice) {
      const name = `${service}-${n}`;
      const env = await environment(name);
      // Whoever learns its address from its lease comes by this link.
      const advertised = await openLink(`*>${name}`, () => part.port("main"));
      links.push(advertised);
      const unit = serviceUnit(
        service,
        name,
        "free",
        { ...env, HOWDAH_ADVERTISE: advertised.address },
        around,
      );
      const part = unitPart(name, service, unit, onExit);
      services.push(part);
      await part.start();
    }
    log(`${service} runs twice`);
  };

  try {
    await database.start();
    await startTwice("command-store", async (name) => {
      const url = new URL(database.url);
      url.port = String((await link(name, database)).port);
      return { HOWDAH_DATABASE_URL: url.href };
    });
    const stores = async (name: string) => ({
      HOWDAH_COMMAND_STORE: list(await linksTo(name, "command-store")),
    });
    await startTwice("dispatcher", stores);
    await startTwice("scheduler", stores);
    await startTwice("gateway", async (name) => ({
      ...(await stores(name)),
      HOWDAH_SCHEDULER: list(await linksTo(name, "scheduler")),
    }));
    const clocks = findClockMover(skipped);
    const starts: (() => Promise<void>)[] = [];
    for (let n = 1; n <= options.agents; n += 1) {
      const name = `host${n}`;
      const prefix = join(dir, "agents", name);
      const scriptLog = join(dir, "scripts", `${name}.log`);
      writeFileSync(scriptLog, "");
      mkdirSync(prefix, { recursive: true });
      // Few hosts have each of these, so that most are as hosts are.
      const smallDisk = n <= specialHosts && mountSmallDisk(prefix, undo, skipped);
      const clock = n > options.agents - specialHosts ? clocks?.(dir, name) : undefined;
      const env = { ...around.env, ...clock?.environment, HOWDAH_SCRIPT_LOG: scriptLog };
      const dispatchers = await linksTo(name, "dispatcher", agentListener);
      const unit = await agentUnit(
        {
          ...{ host: name, prefix, dispatchers: dispatchers.map(({ address }) => address) },
          ini: `component_status_interval = ${statusEvery}\n`,
        },
        { ...around, env },
      );
      const part = unitPart(name, "agent", unit, onExit);
      hosts.push({ name, part, prefix, scriptLog, smallDisk, clock });
      starts.push(() => part.start());
    }
    const inTurn = Array.from({ length: startsAtOnce }, async () => {
      for (let start = starts.shift(); start; start = starts.shift()) await start();
    });
    const failed = (await Promise.allSettled(inTurn)).find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") throw failed.reason;
    log(`${hosts.length} agents run`);
    const doors = {
      gateways: await linksTo("operator", "gateway"),
      stores: await linksTo("test", "command-store"),
    };
    return { dir, database, services, hosts, links, doors, skipped, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
