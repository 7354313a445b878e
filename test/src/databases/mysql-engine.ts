import { spawn } from "node:child_process";
import { readdir, readFile, readlink } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { createConnection } from "mysql2/promise";
import type { Engine } from "./engine.js";
import { outsideTool } from "./outside-tool.js";

const port = 33_068;

/** MySQL itself, with its defaults: they are durable. */
export async function startMysqlEngine(): Promise<Engine> {
  const mysql = outsideTool("real-mysql");
  const [url = ""] = (await mysql("start", String(port))).filter((line) => /^mysql:/.test(line));
  let server = await findServer();
  return {
    name: "MySQL",
    urls: [url],
    victim: "the server",
    async kill() {
      process.kill(server.pid, "SIGKILL");
      while (await isThere(server.pid)) await delay(10);
    },
    async restart() {
      const { root, args } = server;
      spawn("chroot", [root, ...args], { detached: true, stdio: "ignore" }).unref();
      for (;;) {
        try {
          await (await createConnection(url)).end();
          break;
        } catch {
          await delay(50);
        }
      }
      server = await findServer();
    },
    stop: async () => void (await mysql("stop")),
  };
}

async function isThere(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return status !== "" && !/\) Z /.test(status);
}

/** The process that listens on the port: its id, the root of its files, its command line. */
async function findServer(): Promise<{ pid: number; root: string; args: string[] }> {
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const line = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
    const args = line.split("\0").filter((arg) => arg !== "");
    if (!args[0]?.endsWith("mysqld") || !args.includes(`--port=${port}`)) continue;
    return { pid: Number(name), root: await readlink(`/proc/${name}/root`), args };
  }
  throw new Error(`no mysqld listens on port ${port}`);
}
