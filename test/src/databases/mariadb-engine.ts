import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startMariadb } from "@howdah/launcher/start-mariadb";
import type { Engine } from "./engine.js";

/** A private MariaDB with durable commits. */
export async function startMariadbEngine(): Promise<Engine> {
  const dataDir = await mkdtemp(join(tmpdir(), "howdah-databases-"));
  const start = (port: number) => startMariadb({ dataDir, durable: true, port });
  let mariadb = await start(0);
  const { port, url } = mariadb;
  return {
    name: "MariaDB",
    urls: [url],
    victim: "the server",
    kill: () => mariadb.kill(),
    async restart() {
      mariadb = await start(port);
    },
    async stop() {
      await mariadb.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
