import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ChaosFleet, Host } from "../fleet/chaos-fleet.js";
import type { Link } from "../fleet/link.js";
import type { Part } from "../fleet/part.js";
import type { Random } from "../random.js";
import type { Fault, FaultKind } from "./fault.js";

/** Leases last six seconds: who is stopped for longer has lost his. */
const beyondLeaseMs: readonly [number, number] = [6_500, 10_000];

/** Chooses what goes wrong next; undefined where the machine cannot do that. */
export function chooseFault(kind: FaultKind, fleet: ChaosFleet, random: Random): Fault | undefined {
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
      return kill(kind, [fleet.database], random, 2_000);
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
    case "fill-disk": {
      const hosts = fleet.hosts.filter(({ smallDisk }) => smallDisk);
      return hosts.length === 0 ? undefined : fillDisk(random.pick(hosts), random);
    }
    case "move-clock": {
      const hosts = fleet.hosts.filter(({ clock }) => clock !== undefined);
      return hosts.length === 0 ? undefined : moveClock(random.pick(hosts), random);
    }
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

/** A start may fail while what the part needs is away itself; whoever watches over services tries again. */
async function startAgain(part: Part): Promise<void> {
  for (let tries = 1; part.pid === undefined; tries += 1) {
    try {
      await part.start();
    } catch (error) {
      if (tries === 5) throw error;
      await sleep(1_000);
    }
  }
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

function fillDisk({ name, prefix }: Host, random: Random): Fault {
  const file = join(prefix, "filler");
  return {
    kind: "fill-disk",
    text: `fill the disk of ${name}`,
    touches: [`disk of ${name}`],
    lastsMs: random.between(2_000, 10_000),
    begin: async () => {
      const fd = openSync(file, "w");
      try {
        for (const size of [1 << 20, 1 << 12]) {
          const zeros = Buffer.alloc(size);
          while (writes(fd, zeros));
        }
      } finally {
        closeSync(fd);
      }
    },
    heal: async () => rmSync(file, { force: true }),
  };
}

function writes(fd: number, bytes: Buffer): boolean {
  try {
    return writeSync(fd, bytes) === bytes.length;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOSPC") return false;
    throw error;
  }
}

function moveClock({ name, clock }: Host, random: Random): Fault {
  const seconds = random.pick([-1, 1]) * random.pick([2, 90, 3_600, 20 * 86_400]);
  return {
    kind: "move-clock",
    text: `set the clock of ${name} ${seconds > 0 ? "forward" : "back"} by ${Math.abs(seconds)} s`,
    touches: [`clock of ${name}`],
    lastsMs: random.between(2_000, 20_000),
    begin: async () => clock?.move(seconds),
    heal: async () => clock?.move(0),
  };
}

function namesOf(things: readonly { readonly name: string }[]): string {
  return things.map(({ name }) => name).join(", ");
}
