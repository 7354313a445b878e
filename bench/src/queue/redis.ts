import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, constants, mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "@howdah/launcher/free-port";
import { endChild } from "../bare/child.js";
import { type BenchContext, BenchSkipped } from "../measure.js";
import { until } from "../until.js";

/** A Redis of our own. */
export interface Redis {
  readonly port: number;
  /** What it says its version is. */
  readonly version: string;
}

/** Debian's package of tools has the server under this name, and tells by the name it is called by what it is to be. It starts no daemon. */
const disguised = "redis-check-rdb";
const debianPackage = "redis-tools";
const installMs = 120_000;
const readyMs = 10_000;

/**
 * Starts Redis on a free port with every write synced before it is answered. Where there is none it is installed first, if that can be:
 * by apt-get, as root. Throws `BenchSkipped` when not. At the end it is ended, and what it kept removed.
 */
export async function startRedis(
  context: Pick<BenchContext, "log" | "signal" | "after">,
): Promise<Redis> {
  const { log, signal } = context;
  const program = (await findRedis()) ?? (await installRedis(log, signal));
  const dir = await mkdtemp(join(tmpdir(), "howdah-redis-"));
  context.after(() => rm(dir, { recursive: true, force: true }));
  const port = await freePort();
  const options = {
    ...{ port: String(port), bind: "127.0.0.1", dir, daemonize: "no", save: "" },
    ...{ appendonly: "yes", appendfsync: "always", "maxmemory-policy": "noeviction" },
  };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  const server = spawn(program, args, { argv0: "redis-server", stdio: "ignore" });
  context.after(() => endChild(server));
  return { port, version: await answers(server, port, signal) };
}

/** Its program on PATH, by either name. */
export async function findRedis(): Promise<string | undefined> {
  for (const name of ["redis-server", disguised]) {
    for (const folder of (process.env.PATH ?? "").split(delimiter)) {
      const file = join(folder, name);
      const there = await access(file, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (folder !== "" && there) return file;
    }
  }
  return undefined;
}

async function installRedis(log: (line: string) => void, signal: AbortSignal): Promise<string> {
  const missing = "redis-server is not on PATH";
  if (process.getuid?.() !== 0) {
    throw new BenchSkipped(
      `${missing}, and only root can install it: apt-get install ${debianPackage}`,
    );
  }
  log(`${missing}: installing ${debianPackage}`);
  const options = {
    signal,
    timeout: installMs,
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  };
  const apt = (...args: string[]) => promisify(execFile)("apt-get", args, options);
  try {
    await apt("update");
    await apt("install", "-y", "--no-install-recommends", debianPackage);
  } catch (error) {
    signal.throwIfAborted();
    const [why] = (error as Error).message.trim().split("\n").slice(-1);
    throw new BenchSkipped(`${missing}, and could not be installed: ${why}`);
  }
  const found = await findRedis();
  if (found === undefined)
    throw new BenchSkipped(`${missing}, and ${debianPackage} has brought none`);
  return found;
}

/** Waits until it answers, and returns what it says its version is. */
async function answers(server: ChildProcess, port: number, signal: AbortSignal): Promise<string> {
  let failure: Error | undefined;
  server.once("error", (error) => {
    failure = error;
  });
  const look = () => {
    if (failure !== undefined) throw failure;
    if (server.exitCode !== null) throw new Error(`redis-server ended with ${server.exitCode}`);
    return versionAt(port);
  };
  return until(look, "redis-server to answer", { signal, mostMs: readyMs });
}

async function versionAt(port: number): Promise<string | undefined> {
  const socket = connect(port, "127.0.0.1");
  let said = "";
  try {
    await once(socket, "connect");
    socket.end("INFO server\r\nQUIT\r\n");
    for await (const text of socket.setEncoding("utf8")) said += text;
  } catch {
    return undefined; // it does not listen yet
  } finally {
    socket.destroy();
  }
  return /redis_version:(\S+)/.exec(said)?.[1];
}
