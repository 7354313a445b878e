import { setTimeout as delay } from "node:timers/promises";
import { createConnection } from "mysql2/promise";
import { createDatabase } from "./create-database.js";
import { endProcess } from "./end-process.js";
import { lockFolder } from "./folder-lock.js";
import { freePort } from "./free-port.js";
import {
  account,
  ensureData,
  findLeftover,
  type MariadbFolder,
  openMariadbFolder,
  userOption,
} from "./mariadb-folder.js";
import { findMariadbd } from "./mariadb-program.js";
import {
  type Exit,
  type ManagedProcess,
  ProcessStartError,
  type Starting,
  startProcess,
} from "./start-process.js";

export interface MariadbOptions {
  /** Its folder: data, log, socket, password. Made when it is not there; used again when it is. */
  dataDir: string;
  /** TCP port on 127.0.0.1. Default 0: a free one. */
  port?: number;
  /**
   * true: a commit that was acknowledged survives `kill -9` and a power cut; what everything but unit tests needs.
   * false: no wait for the disk, a small redo log; the last second may be lost.
   */
  durable: boolean;
  /** The database to make unless it is there. Default "howdah". */
  database?: string;
  /** Told in a line of text each what happens. Default: nobody. */
  log?: (line: string) => void;
}

/** A private MariaDB that answers. */
export interface Mariadb {
  /** `mysql://USER:PASSWORD@127.0.0.1:PORT/DATABASE`, for HOWDAH_DATABASE_URL. */
  readonly url: string;
  readonly port: number;
  readonly socket: string;
  readonly pid: number;
  readonly exited: Promise<Exit>;
  /** Shuts down cleanly; SIGKILL after `graceMs` (default 30,000). Resolves when it has ended. */
  stop(graceMs?: number): Promise<void>;
  /** SIGKILL, for tests of what then happens. Resolves when it has ended. */
  kill(): Promise<void>;
}

const stopGraceMs = 30_000;
const portTries = 8;

/**
 * Starts a private MariaDB on a folder, which is made when it is empty. A mariadbd that a killed launcher left on it is
 * shut down first. Throws `MariadbMissingError`, `FolderInUseError`, `ProcessStartError`.
 */
export async function startMariadb(options: MariadbOptions): Promise<Mariadb> {
  const { dataDir, database = "howdah", log = () => {} } = options;
  const mariadbd = await findMariadbd();
  const lock = await lockFolder(dataDir);
  let started: ManagedProcess | undefined;
  try {
    const folder = await openMariadbFolder(dataDir);
    const leftover = await findLeftover(folder);
    if (leftover) {
      log(`stopping mariadbd ${leftover.pid}, which a former run left on ${dataDir}`);
      await endProcess(leftover, stopGraceMs);
    }
    const password = await ensureData(folder, mariadbd);
    const { process, port } = await startOnPort(mariadbd, folder, password, options);
    started = process;
    const { pid, exited } = process;
    log(`mariadbd ${pid} answers on 127.0.0.1:${port}, data in ${folder.data}`);
    void exited.then(() => lock.release());
    const server = `mysql://${account}:${password}@127.0.0.1:${port}/`;
    const url = await createDatabase(server, database);
    const stop = async (graceMs = stopGraceMs) => {
      await process.stop(graceMs);
      await lock.release();
    };
    const kill = async () => {
      process.kill("SIGKILL");
      await exited;
      await lock.release();
    };
    return { url, port, socket: folder.socket, pid, exited, stop, kill };
  } catch (error) {
    await started?.stop();
    await lock.release();
    throw error;
  }
}

async function startOnPort(
  mariadbd: string,
  folder: MariadbFolder,
  password: string,
  options: MariadbOptions,
): Promise<{ process: ManagedProcess; port: number }> {
  for (let tries = 1; ; tries += 1) {
    const port = options.port || (await freePort());
    try {
      const process = await startProcess({
        name: "mariadbd",
        file: mariadbd,
        args: serverOptions(folder, port, options.durable),
        logFile: folder.log,
        // Recovery after a kill may take its time.
        readyTimeoutMs: 120_000,
        readyWhen: (starting) => untilItAnswers(folder, password, starting),
      });
      return { process, port };
    } catch (error) {
      // Between finding a free port and binding it somebody else may have taken it.
      const taken =
        error instanceof ProcessStartError && /Bind on TCP\/IP port/.test(error.message);
      if (options.port || !taken || tries === portTries) throw error;
    }
  }
}

function serverOptions(folder: MariadbFolder, port: number, durable: boolean): string[] {
  return [
    "--no-defaults",
    `--datadir=${folder.data}`,
    `--tmpdir=${folder.tmp}`,
    `--socket=${folder.socket}`,
    `--pid-file=${folder.data}.pid`,
    `--port=${port}`,
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--character-set-server=utf8mb4",
    "--collation-server=utf8mb4_bin",
    "--default-time-zone=+00:00",
    "--sql-mode=STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION",
    "--max-connections=500",
    "--performance-schema=OFF",
    ...(durable
      ? ["--innodb-flush-log-at-trx-commit=1", "--innodb-log-file-size=256M"]
      : ["--innodb-flush-log-at-trx-commit=0", "--innodb-log-file-size=8M"]),
    `--innodb-buffer-pool-size=${durable ? "256M" : "64M"}`,
    ...userOption(),
  ];
}

async function untilItAnswers(
  folder: MariadbFolder,
  password: string,
  { signal }: Starting,
): Promise<void> {
  // Over the socket in its own folder: on the port another server might answer.
  const login = { socketPath: folder.socket, user: account, password };
  while (!signal.aborted) {
    try {
      const connection = await createConnection(login);
      await connection.end();
      return;
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === "ER_ACCESS_DENIED_ERROR") {
        throw new ProcessStartError(
          `mariadbd refuses the password in ${folder.passwordFile}: restore that file, or remove the whole folder`,
        );
      }
      await delay(25, undefined, { signal }).catch(() => {});
    }
  }
}
