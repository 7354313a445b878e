import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  lstat,
  mkdir,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  rmdir,
  writeFile,
} from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { findProcesses } from "./find-processes.js";
import { findSystemTables } from "./mariadb-program.js";
import type { ProcessIdentity } from "./process-identity.js";

/** The one account of a private MariaDB: everything, from this machine only. */
export const account = "howdah";

/** What is in the folder of a private MariaDB. */
export interface MariadbFolder {
  data: string;
  /** Its own: a mariadbd that starts removes the temporary tables it finds, another server's too. */
  tmp: string;
  log: string;
  socket: string;
  /** Holds the account's password; 0600. */
  passwordFile: string;
}

// What a socket's address may hold on Linux, its closing zero included.
const socketPathLimit = 108;

/** The paths in a folder; the folders they need are made, none readable by other users. */
export async function openMariadbFolder(path: string): Promise<MariadbFolder> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  // The real path: a leftover server is known by it, whatever way led here.
  const folder = await realpath(path);
  const tmp = join(folder, "tmp");
  await mkdir(tmp, { recursive: true, mode: 0o700 });
  return {
    data: join(folder, "data"),
    tmp,
    log: join(folder, "mariadbd.log"),
    socket: join(await socketFolder(folder), "mariadbd.sock"),
    passwordFile: join(folder, "password"),
  };
}

async function socketFolder(folder: string): Promise<string> {
  if (Buffer.byteLength(join(folder, "mariadbd.sock")) < socketPathLimit) return folder;
  const digest = createHash("sha256").update(folder).digest("hex").slice(0, 16);
  const base = Buffer.byteLength(tmpdir()) < 50 ? tmpdir() : "/tmp";
  const short = join(base, `howdah-mariadb-${digest}`);
  await mkdir(short, { recursive: true, mode: 0o700 });
  // Anybody may make folders there: a foreign one would be a trap.
  if ((await lstat(short)).uid !== process.getuid?.()) {
    throw new Error(`${short} belongs to another user: remove it, or choose a shorter folder`);
  }
  return short;
}

/** mariadbd refuses to run as root unless told so. */
export function userOption(): string[] {
  return process.getuid?.() === 0 ? ["--user=root"] : [];
}

/**
 * Makes an empty database with the one account, unless there is one, and gives the account's password. It is made
 * beside its place and renamed, so that a kill in the middle leaves no half of one.
 */
export async function ensureData(folder: MariadbFolder, mariadbd: string): Promise<string> {
  const there = await readdir(folder.data).catch((): string[] => []);
  if (there.includes("mysql")) return (await readFile(folder.passwordFile, "utf8")).trim();

  const half = `${folder.data}.new`;
  await rm(half, { recursive: true, force: true });
  await mkdir(half, { mode: 0o700 });
  const password = randomBytes(24).toString("hex");
  await bootstrap(mariadbd, half, folder.tmp, await newDatabase(mariadbd, password));
  // Before the rename: data without its password would be of no use.
  await writeFile(folder.passwordFile, `${password}\n`, { mode: 0o600 });
  if (there.length === 0) await rmdir(folder.data).catch(() => {}); // an empty one may be there
  await rename(half, folder.data);
  return password;
}

async function newDatabase(mariadbd: string, password: string): Promise<string> {
  const files = await Promise.all(
    (await findSystemTables(mariadbd)).map((file) => readFile(file, "utf8")),
  );
  // Accounts for the machine's present name would only be more doors.
  const tables = files.join("\n").replace(/^.*@current_hostname.*$/gm, "");
  const hosts = ["localhost", "127.0.0.1"]; // the socket, and TCP, where names are not resolved
  return [
    "CREATE DATABASE mysql;",
    "USE mysql;",
    `SET @auth_root_socket = '${systemUser()}';`,
    tables,
    "FLUSH PRIVILEGES;",
    ...hosts.flatMap((host) => [
      `CREATE USER '${account}'@'${host}' IDENTIFIED BY '${password}';`,
      `GRANT ALL ON *.* TO '${account}'@'${host}' WITH GRANT OPTION;`,
    ]),
    "",
  ].join("\n");
}

/** root logs in over the socket only, as that system user; without a name, only the one account is left. */
function systemUser(): string {
  try {
    return userInfo().username.replaceAll(/[^A-Za-z0-9_.-]/g, "");
  } catch {
    return "root";
  }
}

async function bootstrap(mariadbd: string, data: string, tmp: string, sql: string): Promise<void> {
  const options = [
    "--bootstrap",
    `--datadir=${data}`,
    `--tmpdir=${tmp}`,
    "--log-warnings=0",
    "--max-allowed-packet=8M",
  ];
  const child = spawn(
    mariadbd,
    ["--no-defaults", ...options, "--innodb-log-file-size=8M", ...userOption()],
    { stdio: ["pipe", "ignore", "pipe"] },
  );
  const log = text(child.stderr);
  child.stdin.on("error", () => {}); // it ended early; its exit code and log say why
  child.stdin.end(sql);
  const [code] = (await once(child, "exit")) as [number | null];
  if (code === 0) return;
  const tail = (await log).trimEnd().split("\n").slice(-15).join("\n  ");
  throw new Error(`mariadbd could not make a database in ${data}:\n  ${tail}`);
}

/** The mariadbd that still works on the data of a launcher that was killed, if any. */
export async function findLeftover(folder: MariadbFolder): Promise<ProcessIdentity | undefined> {
  // By its command line and not by a pid file, which it may not have written yet.
  const option = `--datadir=${folder.data}`;
  const [leftover] = await findProcesses((args) => args.includes(option));
  return leftover;
}
