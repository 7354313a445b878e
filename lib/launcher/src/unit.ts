import type { Addresses } from "./log-line.js";
import {
  type Exit,
  type ManagedProcess,
  type ProcessOptions,
  startProcess,
} from "./start-process.js";

/**
 * A process of an installation under its name. It may be killed and started again: it then listens where it did before,
 * so that the others find it.
 */
export interface Unit {
  readonly name: string;
  readonly logFile: string;
  /** Where it listens, by the listener's name; empty for an agent. */
  readonly addresses: Addresses;
  /** Of the present process, or of the last one. */
  readonly pid: number;
  /** Of the present process, or of the last one. */
  readonly exited: Promise<Exit>;
  /** Sends a signal, SIGKILL by default, to the present process. */
  kill(signal?: NodeJS.Signals): void;
  /** SIGTERM, SIGKILL after `graceMs` (default 15,000). Resolves when it has ended; harmless when it already has. */
  stop(graceMs?: number): Promise<Exit>;
  /** Starts it again, after a stop if it still runs. Resolves when it is ready. Throws `ProcessStartError`. */
  restart(): Promise<void>;
}

/** How a unit's process is started; `addresses` are those of its first process, undefined for the first. */
export type UnitOptions = (addresses: Addresses | undefined) => ProcessOptions<Addresses>;

/**
 * Starts a unit. Throws `ProcessStartError`.
 * @param onExit called when a process of it ends, unless `stop` or `restart` ended it
 */
export async function startUnit(
  options: UnitOptions,
  onExit: (unit: Unit, exit: Exit) => void = () => {},
): Promise<Unit> {
  let addresses: Addresses | undefined;
  let process: ManagedProcess<Addresses>;
  let stopping = false;

  const start = async () => {
    const started = await startProcess(options(addresses));
    process = started;
    addresses = started.ready;
    stopping = false;
    void started.exited.then((exit) => {
      if (!stopping) onExit(unit, exit);
    });
  };
  const unit: Unit = {
    get name() {
      return process.name;
    },
    get logFile() {
      return process.logFile;
    },
    get addresses() {
      return process.ready;
    },
    get pid() {
      return process.pid;
    },
    get exited() {
      return process.exited;
    },
    kill: (signal) => process.kill(signal),
    stop(graceMs) {
      stopping = true;
      return process.stop(graceMs);
    },
    async restart() {
      await unit.stop();
      await start();
    },
  };
  await start();
  return unit;
}
