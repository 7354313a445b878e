import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Servers } from "@howdah/agent/connection/stay-connected";
import type { Logger } from "pino";
import type { Behaviour } from "./behaviour.js";
import { hostName } from "./host-name.js";
import { createPretendedOutput } from "./pretended-output.js";
import { simulateAgent } from "./simulated-agent.js";
import { newTally, type Tally } from "./tally.js";
import { createTurns } from "./turns.js";

/** Which hosts to play, and how. */
export interface SimulatedFleetOptions {
  readonly agents: number;
  /** Hosts are called PREFIX-00001 and so on: see `hostName`. */
  readonly prefix: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly servers: Servers;
  readonly behaviour: Behaviour;
  /** How many agents begin to connect in a second. */
  readonly connectRate: number;
  /** How many agents connect and register at the same time, those that come back too. Default 500. */
  readonly mostConnecting?: number;
  readonly log: Logger;
}

/** Hosts that are played in this process. */
export interface SimulatedFleet {
  readonly tally: Tally;
  /** Resolves when every agent has said goodbye. */
  stop(): Promise<void>;
}

const startEveryMs = 20;
/**
 * A host has a processor of its own to answer its server's pings with. Where thousands begin at once on this one, each waits for all others,
 * for longer than servers do: they close the connection, and it is made again.
 */
const mostAtOnce = 500;

/** Begins to play; the agents connect one after the other, at the rate that is asked for. */
export function simulateFleet(options: SimulatedFleetOptions): SimulatedFleet {
  const { agents, prefix, connectRate, log } = options;
  const tally = newTally();
  const stopping = new AbortController();
  // One each: Node walks all listeners of a signal for each that is added, and every agent adds some with each try to connect.
  const agentsStopping: AbortController[] = [];
  const output = createPretendedOutput();
  const connecting = createTurns(options.mostConnecting ?? mostAtOnce);
  const playing: Promise<void>[] = [];

  async function startAll(): Promise<void> {
    const atOnce = Math.max(1, Math.round((connectRate * startEveryMs) / 1_000));
    const everyMs = Math.max(startEveryMs, 1_000 / connectRate);
    while (playing.length < agents && !stopping.signal.aborted) {
      for (let n = 0; n < atOnce && playing.length < agents; n += 1) start(playing.length + 1);
      await sleep(everyMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  }

  function start(number: number): void {
    const more = {
      hostName: hostName(prefix, number),
      agentId: randomUUID(),
      output,
      tally,
      connecting,
      log,
    };
    const agentStopping = new AbortController();
    agentsStopping.push(agentStopping);
    playing.push(simulateAgent({ ...options, ...more }, agentStopping.signal));
  }

  const starting = startAll();
  return {
    tally,
    async stop() {
      stopping.abort();
      await starting;
      for (const agentStopping of agentsStopping) agentStopping.abort();
      await Promise.all(playing);
    },
  };
}
