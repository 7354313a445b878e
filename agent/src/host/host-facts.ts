import type { Logger } from "pino";
import type { Json, JsonObject } from "../json.js";
import { agentEnv, looksUpReverse } from "./agent-env.js";
import { type BoundedRunner, createBoundedRunner } from "./bounded-run.js";
import { hardwareProfile, system } from "./hardware-profile.js";
import { ambariMount, measureMounts } from "./mounts.js";
import { readOverrides } from "./resource-overrides.js";
import { stackLeftovers } from "./stack-leftovers.js";
import { createWatchedProcesses, type WatchedProcesses } from "./watched-processes.js";

/** What the agent says of its host. */
export interface HostFacts {
  /**
   * A JSON object of at most 64 KiB, by Ambari's names [A 6.3]: hardwareProfile's at its top, `agentEnv`, `mounts`; besides them
   * `publicHostname`, `prefix` and `agentStartTime`. What takes time to find out is in it once it is there.
   */
  json(): string;
  /** Resolves when all is found out, or nothing more will come. Never rejects. */
  readonly gathered: Promise<void>;
  /** What of them names the system, by the operator's word where there is one: `osfamily`, `operatingsystem`, `operatingsystemrelease`. */
  readonly system: JsonObject;
  /** Whether the host's name leads to its address and back; null while that is not known. */
  readonly reverseLookup: boolean | null;
}

/** Whose facts. */
export interface HostFactsOptions {
  readonly hostName: string;
  readonly publicHostName: string;
  readonly prefix: string;
  readonly dataFolder: string;
  /** A folder of JSON files whose facts win. */
  readonly overrides: string | undefined;
  readonly log: Logger;
  readonly runner?: BoundedRunner;
  readonly processes?: () => WatchedProcesses;
}

/** Begins to gather them. What may hang (file systems, the resolver) is asked out of process and for a bounded time. */
export function gatherHostFacts(options: HostFactsOptions): HostFacts {
  const { hostName, publicHostName, prefix, dataFolder, overrides, log } = options;
  const { runner = createBoundedRunner(), processes = createWatchedProcesses() } = options;
  const agentStartTime = Date.now();
  let mounts: JsonObject[] = [];
  let left: JsonObject = {};
  let stated: JsonObject = {};
  let reverseLookup: boolean | null = null;

  const pieces: Promise<void>[] = [
    measureMounts(runner, dataFolder).then((found) => {
      mounts = found.mounts.map(ambariMount);
    }),
    stackLeftovers().then((found) => {
      left = found;
    }),
    looksUpReverse(runner, hostName).then((found) => {
      reverseLookup = found;
    }),
  ];
  if (overrides !== undefined) {
    pieces.push(
      readOverrides(overrides, log).then((found) => {
        stated = found;
      }),
    );
  }
  const gathered = Promise.all(
    pieces.map((piece) =>
      piece.catch((error: Error) => {
        log.warn({ reason: error.message }, "a part of the host's facts is not known");
      }),
    ),
  ).then(() => undefined);

  return {
    gathered,
    get system() {
      return { ...system(), ...stated };
    },
    get reverseLookup() {
      return reverseLookup;
    },
    json: () =>
      withinBytes(64 * 1024, {
        ...hardwareProfile(hostName),
        ...{ publicHostname: publicHostName, prefix, agentStartTime, mounts },
        agentEnv: { ...agentEnv(processes(), reverseLookup, Date.now()), ...left },
        ...stated,
      }),
  };
}

/** The largest parts first, for a host that has more to tell than a registration holds. */
function withinBytes(most: number, facts: Readonly<Record<string, Json>>): string {
  const kept = { ...facts };
  const leftOut: string[] = [];
  for (;;) {
    const text = JSON.stringify(leftOut.length === 0 ? kept : { ...kept, leftOut });
    if (Buffer.byteLength(text) <= most) return text;
    const [largest = ""] = Object.keys(kept).sort(
      (a, b) => JSON.stringify(kept[b]).length - JSON.stringify(kept[a]).length,
    );
    delete kept[largest];
    leftOut.push(largest);
  }
}
