import type { Engine } from "./engine.js";
import { outsideTool } from "./outside-tool.js";

/** A Galera cluster of three nodes. */
export async function startGaleraEngine(): Promise<Engine> {
  const galera = outsideTool("galera");
  const urls = (await galera("start")).filter((line) => line.startsWith("mysql://"));
  return {
    name: "Galera, three nodes",
    urls,
    victim: "node 1",
    kill: async () => void (await galera("kill", "1")),
    restart: async () => void (await galera("join", "1")),
    stop: async () => void (await galera("stop")),
  };
}
