import { type Mariadb, startMariadb } from "@howdah/launcher/start-mariadb";
import { startUnit, type Unit, type UnitOptions } from "@howdah/launcher/unit";

/** What a part is. */
export type PartKind =
  | "command-store"
  | "scheduler"
  | "dispatcher"
  | "gateway"
  | "agent"
  | "database";

/** A process of the fleet, under a name that stays while processes come and go. */
export interface Part {
  readonly name: string;
  readonly kind: PartKind;
  /** Of the present process; undefined while there is none. */
  readonly pid: number | undefined;
  /** The port of a listener of the present process; undefined while there is none. */
  port(listener: string): number | undefined;
  /** Starts it unless it runs; resolves when it is ready. Throws `ProcessStartError`. */
  start(): Promise<void>;
  /** SIGKILL. Resolves when it has ended. */
  kill(): Promise<void>;
  signal(signal: "SIGSTOP" | "SIGCONT"): void;
  /** SIGTERM, in the end SIGKILL. Resolves when it has ended. */
  stop(): Promise<void>;
}

/**
 * A service or an agent. Each process of it listens on ports of its own: the others come by links, which follow.
 * @param onExit told when a process ended that nobody killed or stopped, with its exit code
 */
export function unitPart(
  name: string,
  kind: PartKind,
  options: UnitOptions,
  onExit: (part: Part, code: number) => void,
): Part {
  let unit: Unit | undefined;
  let starting: Promise<void> | undefined;
  const begin = async () => {
    unit = await startUnit(
      () => options(undefined),
      (ended, { code }) => {
        if (unit !== ended) return;
        unit = undefined;
        onExit(part, code);
      },
    );
  };
  const end = async (how: (unit: Unit) => Promise<unknown>) => {
    // What is just being started would be left behind.
    await starting?.catch(() => undefined);
    const ending = unit;
    unit = undefined;
    if (ending !== undefined) await how(ending);
  };
  const part: Part = {
    name,
    kind,
    get pid() {
      return unit?.pid;
    },
    port(listener) {
      const address = unit?.addresses[listener];
      return address === undefined ? undefined : Number(address.split(":").at(-1));
    },
    async start() {
      if (unit !== undefined) return;
      starting ??= begin().finally(() => {
        starting = undefined;
      });
      await starting;
    },
    kill: () =>
      end(async (ending) => {
        ending.kill();
        await ending.exited;
      }),
    signal: (signal) => unit?.kill(signal),
    stop: () => end((ending) => ending.stop()),
  };
  return part;
}

/** The database, with durable commits. */
export function databasePart(dataDir: string): Part & { readonly url: string } {
  let mariadb: Mariadb | undefined;
  let url = "";
  const end = async (how: (mariadb: Mariadb) => Promise<void>) => {
    const ending = mariadb;
    mariadb = undefined;
    if (ending !== undefined) await how(ending);
  };
  return {
    name: "database",
    kind: "database",
    get pid() {
      return mariadb?.pid;
    },
    get url() {
      return url;
    },
    port: () => mariadb?.port,
    async start() {
      if (mariadb !== undefined) return;
      mariadb = await startMariadb({ dataDir, durable: true });
      url = mariadb.url;
    },
    kill: () => end((ending) => ending.kill()),
    signal: (signal) => {
      if (mariadb !== undefined) process.kill(mariadb.pid, signal);
    },
    stop: () => end((ending) => ending.stop()),
  };
}
