import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";

/** The folders that may be placed elsewhere than below the prefix, as the ini file allows. */
export type FolderOverrides = Partial<
  Pick<AgentFolders, "data" | "cache" | "keys" | "tmp" | "log" | "run" | "conf">
>;

/**
 * Every path an agent uses. Nothing else in the agent names a path, so that any number of agents share a machine, each
 * under its own prefix.
 */
export interface AgentFolders {
  readonly prefix: string;
  readonly bin: string;
  readonly lib: string;
  readonly tools: string;
  readonly cred: string;
  /** Command files, output and the journal; mode 0700. */
  readonly data: string;
  readonly journal: string;
  /** Start and exit records, one folder for each attempt. */
  readonly steps: string;
  readonly cache: string;
  readonly stacks: string;
  readonly commonServices: string;
  readonly extensions: string;
  readonly customActions: string;
  readonly hostScripts: string;
  readonly stackHooks: string;
  readonly clusterCache: string;
  /** The agent's private key and certificate; mode 0700. */
  readonly keys: string;
  /** Scratch space of the scripts, whichever user they run as; mode 1777. */
  readonly tmp: string;
  readonly log: string;
  readonly run: string;
  /** Locks of the one agent that may use the folder it is in; run/ and data/ may be anywhere, so each has its own. */
  readonly lock: string;
  readonly dataLock: string;
  readonly pidFile: string;
  readonly conf: string;
  readonly iniFile: string;
  readonly environmentFile: string;
  /** Where the supervisor of steps is installed at each start of the agent, and Ambari's way to sudo, which leads the scripts' PATH. */
  readonly supervisor: string;
  readonly ambariSudo: string;
  /** What runs the scripts of alerts, likewise. */
  readonly alertRunner: string;
}

/** Thrown when a folder of the agent can't be made or written, and an operator has to mend that; the message is one line and names the folder. */
export class FolderError extends Error {
  override readonly name = "FolderError";
}

/** Thrown when a folder can't be made or written for a trouble that passes, as its disk's: a later start may find it well. */
export class DiskError extends Error {
  override readonly name = "DiskError";
}

/** Troubles of the disk below, or of what the kernel has to give; the others are of rights and of paths. */
const passing: ReadonlySet<string> = new Set([
  ...["EROFS", "ENOSPC", "EDQUOT", "EIO", "ENXIO", "ENODEV", "ESTALE", "ETIMEDOUT", "EHOSTDOWN"],
  ...["ENOTCONN", "EMFILE", "ENFILE", "ENOMEM"],
]);

/** What to throw when a file or folder, `what`, can't be made or written for `error`. */
export function folderTrouble(what: string, error: unknown): FolderError | DiskError {
  const code = (error as NodeJS.ErrnoException).code ?? String(error);
  const text = `${what} can't be made or written (${code})`;
  return passing.has(code)
    ? new DiskError(`${text}: see to its disk; the agent can be started again`)
    : new FolderError(
        `${text}: give the agent's user the right to write there, or choose another folder`,
      );
}

/** The paths below `prefix` (default of the installed agent: `/var/lib/howdah-agent`). Touches no disk. */
export function agentFolders(prefix: string, overrides: FolderOverrides = {}): AgentFolders {
  const data = overrides.data ?? join(prefix, "data");
  const cache = overrides.cache ?? join(prefix, "cache");
  const run = overrides.run ?? join(prefix, "run");
  const conf = overrides.conf ?? join(prefix, "conf");
  const lib = join(prefix, "lib");
  return {
    prefix,
    bin: join(prefix, "bin"),
    lib,
    tools: join(prefix, "tools"),
    cred: join(prefix, "cred"),
    data,
    journal: join(data, "journal"),
    steps: join(data, "steps"),
    cache,
    stacks: join(cache, "stacks"),
    commonServices: join(cache, "common-services"),
    extensions: join(cache, "extensions"),
    customActions: join(cache, "custom_actions"),
    hostScripts: join(cache, "host_scripts"),
    stackHooks: join(cache, "stack-hooks"),
    clusterCache: join(cache, "cluster_cache"),
    keys: overrides.keys ?? join(prefix, "keys"),
    tmp: overrides.tmp ?? join(prefix, "tmp"),
    log: overrides.log ?? join(prefix, "log"),
    run,
    lock: join(run, "lock"),
    dataLock: join(data, "lock"),
    pidFile: join(run, "howdah-agent.pid"),
    conf,
    iniFile: join(conf, "howdah-agent.ini"),
    environmentFile: join(prefix, "howdah-env.sh"),
    supervisor: join(lib, "supervisor.sh"),
    ambariSudo: join(prefix, "ambari-sudo.sh"),
    alertRunner: join(lib, "alert-script.py"),
  };
}

const privateFolders = ["data", "journal", "steps", "dataLock", "keys"] as const;
const openFolders = ["bin", "lib", "tools", "cred", "cache", "stacks", "commonServices"] as const;
const moreOpenFolders = [
  ...["extensions", "customActions", "hostScripts", "stackHooks", "clusterCache"],
  ...["log", "run", "lock"],
] as readonly (keyof AgentFolders)[];

/**
 * Makes the folders that are missing and sets the modes that matter, of its own folders only: one that somebody else uses already is
 * refused. Throws `FolderError`, `DiskError`.
 */
export function createFolders(folders: AgentFolders): void {
  refuseForeign(folders);
  make("prefix", folders.prefix, 0o755);
  for (const name of openFolders) make(name, folders[name], 0o755);
  for (const name of moreOpenFolders) make(name, folders[name], 0o755);
  for (const name of privateFolders) make(name, folders[name], 0o700);
  make("tmp", folders.tmp, 0o1777);
  if (!existsSync(folders.conf)) make("conf", folders.conf, 0o755);
}

/** Before any mode is changed: `data_dir = /srv` is a slip that must not close /srv to everybody. */
function refuseForeign(folders: AgentFolders): void {
  const { data, dataLock, journal, steps, tmp, prefix } = folders;
  const isOurs = [dataLock, journal, steps].some((path) => existsSync(path));
  if (namesIn(data).length > 0 && !isOurs) {
    throw new FolderError(
      `the data folder ${data} is not empty and not an agent's: choose a folder of its own`,
    );
  }
  const mode = statSync(tmp, { throwIfNoEntry: false })?.mode ?? 0;
  const isOpen = (mode & 0o7777) === 0o1777;
  if (!isOpen && !tmp.startsWith(`${prefix}/`) && namesIn(tmp).length > 0) {
    throw new FolderError(
      `the tmp folder ${tmp} is not empty and has not the mode 1777: choose a folder of its own`,
    );
  }
}

/** None when it is no folder, or not there: making it says why it cannot be used. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/**
 * Makes a folder and those above it; true when it was not there. Not by mkdir's own `recursive`: Node 20 never comes back from it
 * where the file system denies the existence of a folder that it will not make, as below /proc.
 */
function makePath(path: string, mode: number): boolean {
  if (existsSync(path)) return false;
  const above = dirname(path);
  if (above !== path) makePath(above, 0o755);
  mkdirSync(path, { mode });
  return true;
}

function make(name: string, path: string, mode: number): void {
  try {
    // A link to a package that was cleaned away.
    if (!existsSync(path)) rmSync(path, { force: true });
    const made = makePath(path, mode);
    // mkdir applies the umask; an operator's own, stricter choice for an open folder is left alone.
    if (made || mode !== 0o755) chmodSync(path, mode);
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw folderTrouble(`the ${name} folder ${path}`, error);
  }
}
