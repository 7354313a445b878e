import type { ChaosFleet } from "../fleet/chaos-fleet.js";
import type { Link } from "../fleet/link.js";
import type { Part } from "../fleet/part.js";
import { startAgain } from "../fleet/start-again.js";
import type { Random } from "../random.js";
import { uptimeMs } from "../uptime.js";
import type { Evidence, Fault, FaultKind } from "./fault.js";
import { chooseHostFault } from "./host-faults.js";

/** Leases last six seconds: who is stopped for longer has lost his. */
const beyondLeaseMs: readonly [number, number] = [6_500, 10_000];

/**
 * Chooses what goes wrong next; undefined where the machine cannot do that.
 * @param evidence where it is written down, for the checks, what it has done
 */
export function chooseFault(
  kind: FaultKind,
  fleet: ChaosFleet,
  random: Random,
  evidence: Evidence,
): Fault | undefined {
  const ofKind = (...kinds: readonly Part["kind"][]) =>
    fleet.services.filter((part) => kinds.includes(part.kind));
  switch (kind) {
    case "kill-store":
      return kill(kind, [random.pick(ofKind("command-store"))], random);
    case "kill-scheduler":
      return kill(kind, [random.pick(ofKind("scheduler"))], random);
    case "kill-dispatcher":
      return kill(kind, [random.pick(ofKind("dispatcher"))], random);
    case "kill-gateway":
      return kill(kind, [random.pick(ofKind("gateway"))], random);
    case "kill-agent":
      return kill(kind, someAgents(fleet, random), random);
    case "kill-database":
      // Without it nothing goes on: what matters is the moment, not how long it lasts.
      return killDatabase(fleet, random, evidence);
    case "pause-service":
      return pause(kind, [random.pick(fleet.services)], random);
    case "pause-agent":
      return pause(kind, someAgents(fleet, random), random);
    case "pause-database":
      // It has no lease, and nothing goes on meanwhile.
      return pause(kind, [fleet.database], random, [500, 5_000]);
    case "cut":
    case "silence":
    case "lose-answers":
    case "delay":
      return spoil(kind, someLinks(fleet, random), random);
    case "crash-host":
    case "wipe-host":
    case "fill-disk":
    case "move-clock":
      return chooseHostFault(kind, fleet, random, evidence);
  }
}

function someAgents({ hosts }: ChaosFleet, random: Random): Part[] {
  return random.some(hosts, random.between(1, Math.min(4, hosts.length))).map(({ part }) => part);
}

function kill(kind: FaultKind, parts: readonly Part[], random: Random, longestMs = 8_000): Fault {
  return {
    kind,
    text: `kill -9 ${namesOf(parts)}`,
    touches: parts.map(({ name }) => name),
    lastsMs: random.between(0, longestMs),
    begin: async () => {
      await Promise.all(parts.map((part) => part.kill()));
    },
    heal: async () => {
      await Promise.all(parts.map(startAgain));
    },
  };
}

function killDatabase({ database }: ChaosFleet, random: Random, evidence: Evidence): Fault {
  const fault = kill("kill-database", [database], random, 2_000);
  const begin = async () => {
    evidence.databaseKills.push(uptimeMs());
    await fault.begin();
  };
  return { ...fault, begin };
}

function pause(
  kind: FaultKind,
  parts: readonly Part[],
  random: Random,
  range = beyondLeaseMs,
): Fault {
  return {
    kind,
    text: `SIGSTOP ${namesOf(parts)}`,
    touches: parts.map(({ name }) => name),
    lastsMs: random.between(...range),
    begin: async () => {
      for (const part of parts) part.signal("SIGSTOP");
    },
    heal: async () => {
      for (const part of parts) part.signal("SIGCONT");
    },
  };
}

/** Links that break together: one alone, or all of a part, either those it uses or those by which it is reached. */
function someLinks({ links, services, hosts, database }: ChaosFleet, random: Random): Link[] {
  if (random.chance(0.4)) return [random.pick(links)];
  const { name } = random.pick([...services, database, ...hosts]);
  const outward = links.filter((link) => link.name.startsWith(`${name}>`));
  const inward = links.filter((link) => link.name.endsWith(`>${name}`));
  if (outward.length === 0) return inward;
  if (inward.length === 0) return outward;
  return random.pick([outward, inward, [...outward, ...inward]]);
}

const linkStates = { cut: "cut", silence: "silent", "lose-answers": "deaf" } as const;

function spoil(
  kind: keyof typeof linkStates | "delay",
  links: readonly Link[],
  random: Random,
): Fault {
  const delayMs = random.between(50, 2_000);
  const what = kind === "delay" ? `delay by ${delayMs} ms` : kind;
  return {
    kind,
    text: `${what} ${namesOf(links)}`,
    touches: links.map(({ name }) => name),
    lastsMs: random.between(1_000, 12_000),
    begin: async () => {
      for (const link of links) {
        if (kind === "delay") link.delay(delayMs);
        else link.set(linkStates[kind]);
      }
    },
    heal: async () => {
      for (const link of links) {
        if (kind === "delay") link.delay(0);
        else link.set("open");
      }
    },
  };
}

function namesOf(things: readonly { readonly name: string }[]): string {
  return things.map(({ name }) => name).join(", ");
}
