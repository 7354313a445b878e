import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { journalFile, readJournal } from "../collect/read-journal.js";
import type { ChaosFleet, Host } from "../fleet/chaos-fleet.js";
import { busyHosts, endHost } from "../fleet/end-host.js";
import { startAgain } from "../fleet/start-again.js";
import { createRandom, type Random } from "../random.js";
import { uptimeMs } from "../uptime.js";
import type { Evidence, Fault, FaultKind } from "./fault.js";

/** Chooses what goes wrong with a host; undefined where the machine cannot do that. */
export function chooseHostFault(
  kind: FaultKind & ("crash-host" | "wipe-host" | "fill-disk" | "move-clock"),
  fleet: ChaosFleet,
  random: Random,
  evidence: Evidence,
): Fault | undefined {
  switch (kind) {
    case "crash-host":
      return crash(someHosts(fleet, random, random.between(1, 4)), random, evidence);
    case "wipe-host":
      return wipe(someHosts(fleet, random, 1)[0], random, evidence);
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

/** Mostly hosts on which a command runs just now, if there are any: there is little to lose on the others. */
function someHosts({ hosts }: ChaosFleet, random: Random, count: number): [Host, ...Host[]] {
  const mostlyBusy = random.chance(0.8);
  // So that what is drawn later does not depend on how many there are.
  const own = createRandom(random.between(0, 1e9));
  const busy = mostlyBusy ? busyHosts(hosts) : [];
  const [first, ...more] = own.some(busy.length > 0 ? busy : hosts, count);
  if (first === undefined) throw new Error("there are no hosts");
  return [first, ...more];
}

/** All that runs on the hosts ends at once, as when the power goes; only that the kernel's boot id stays the same. */
function crash(hosts: readonly Host[], random: Random, { crashes }: Evidence): Fault {
  return {
    kind: "crash-host",
    text: `crash ${hosts.map(({ name }) => name).join(", ")}`,
    touches: hosts.map(({ name }) => name),
    lastsMs: random.between(0, 8_000),
    begin: async () => {
      await Promise.all(
        hosts.map(async (host) => {
          await endHost(host);
          crashes.push({ host: host.name, atMs: uptimeMs() });
        }),
      );
    },
    heal: async () => {
      await Promise.all(hosts.map(({ part }) => startAgain(part)));
    },
  };
}

/** A host crashes and comes back without its data folder: as one that was installed anew. */
function wipe(host: Host, random: Random, { crashes, wipedJournals }: Evidence): Fault {
  const { name, part, prefix } = host;
  return {
    kind: "wipe-host",
    text: `crash ${name} and delete its data folder`,
    touches: [name, `disk of ${name}`],
    lastsMs: random.between(0, 8_000),
    begin: async () => {
      await endHost(host);
      const atMs = uptimeMs();
      crashes.push({ host: name, atMs });
      wipedJournals.push({ ...readJournal(name, journalFile(prefix)), wipedAtMs: atMs });
      rmSync(join(prefix, "data"), { recursive: true, force: true });
    },
    heal: () => startAgain(part),
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
