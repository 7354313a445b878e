import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectError } from "@connectrpc/connect";
import { applyTestCluster } from "../system/fleet.js";
import { Listener } from "../system/listener.js";
import { checkHistory } from "./check/check-history.js";
import type { History, Journal, StoredTask } from "./check/history.js";
import { doneStatuses } from "./check/statuses.js";
import type { Violation } from "./check/violation.js";
import { observeStore } from "./collect/observe-store.js";
import { openDatabase } from "./collect/open-database.js";
import { readAlerts } from "./collect/read-alerts.js";
import { journalFile, readJournal } from "./collect/read-journal.js";
import { readScriptLog } from "./collect/read-script-log.js";
import { readStore } from "./collect/read-store.js";
import { type ChaosFleet, root, startChaosFleet } from "./fleet/chaos-fleet.js";
import type { Part } from "./fleet/part.js";
import { watchMemory } from "./fleet/watch-memory.js";
import { startAlerts } from "./load/alerts.js";
import { daemonCluster } from "./load/daemon-stack.js";
import { startDaemons } from "./load/daemons.js";
import { startLoad } from "./load/load.js";
import { startMaintenance } from "./load/maintenance.js";
import type { LoadGround } from "./load/operation-kinds.js";
import { type Operators, openDoors } from "./load/operators.js";
import { startSchedules } from "./load/schedules.js";
import { startStaleOwner } from "./load/stale-owner.js";
import { type FaultKind, faultKinds } from "./nemesis/fault.js";
import { startNemesis } from "./nemesis/nemesis.js";
import { createRandom } from "./random.js";
import { rest } from "./rest.js";
import { untilSettled } from "./settle.js";

/** What a run does. */
export interface ChaosOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly agents: number;
  /** Default: all. */
  readonly faults?: readonly FaultKind[];
  /** Keep the folder also when all is well. Default false. */
  readonly keep?: boolean;
  /** Ends the run early: all is ended and removed, and the run rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Told what goes on, a line each. */
  readonly log: (line: string) => void;
}

/** What a run found. */
export interface ChaosResult {
  readonly history: History;
  readonly violations: readonly Violation[];
  /** Acknowledged operations by kind. */
  readonly operations: ReadonlyMap<string, number>;
  readonly faults: ReadonlyMap<FaultKind, number>;
  /** What the machine cannot do. */
  readonly skipped: readonly string[];
  /** The most memory that one process of a kind took, in MiB. */
  readonly peaks: ReadonlyMap<string, number>;
  /** For how long this process, through which every connection goes, was too busy to pass anything on, at the worst moment. */
  readonly heldUpMs: number;
  /** The folder with logs, journals and data; kept when there is a violation, else gone. */
  readonly folder: string | undefined;
}

/** Runs a fleet under a load while things go wrong; then waits until all is well, and checks what is left behind. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { seed, minutes, log } = options;
  const random = createRandom(seed);
  const ailments: string[] = [];
  const over = new AbortController();
  const onExit = (part: Part, code: number) => {
    const text = `${part.name} ended by itself with code ${code}`;
    ailments.push(text);
    log(text);
    // As whoever watches over services would.
    void rest(500, over.signal).then(async () => {
      if (!over.signal.aborted) await part.start().catch(() => undefined);
    });
  };
  // Whatever ends the run early, its own end among it: nothing is waited for then.
  const signal = AbortSignal.any([over.signal, ...(options.signal ? [options.signal] : [])]);
  const fleet = await startChaosFleet({ agents: options.agents, log, onExit });
  let keep = true;
  const cleanUp: (() => Promise<void>)[] = [];
  try {
    for (const reason of fleet.skipped) log(`skipped: ${reason}`);
    const names = fleet.hosts.map(({ name }) => name);
    const operators = openDoors(fleet.doors.gateways.map(({ address }) => address));
    cleanUp.push(async () => operators.close());
    await untilConnected(operators, names.length, signal);
    await applyTestCluster(operators.door(), names);
    const listener = new Listener();
    await listener.open();
    cleanUp.push(() => listener.close());
    // Before anything else: a host in maintenance would be left out.
    const daemons = await startDaemons(
      operators,
      { hosts: fleet.hosts, dir: fleet.dir, listener: listener.address },
      random.fork("daemons"),
    );
    log(`${names.length} hosts are healthy`);

    const memory = watchMemory([...fleet.services, ...fleet.hosts.map(({ part }) => part)], log);
    cleanUp.push(async () => memory.stop());
    const delays = monitorEventLoopDelay();
    delays.enable();
    const observer = observeStore(() => fleet.database.url);
    cleanUp.push(() => observer.stop());
    const stores = fleet.doors.stores.map(({ address }) => address);
    const stale = startStaleOwner(stores, observer, random.fork("stale"));
    cleanUp.push(() => stale.stop());
    const ground = groundOf(fleet);
    const schedules = await startSchedules(operators, ground, random.fork("schedules"));
    const maintenance = startMaintenance(operators, names, random.fork("maintenance"));
    const load = startLoad({ operators, ground, random: random.fork("load") });
    cleanUp.push(async () => {
      operators.close();
      await Promise.allSettled([load.ended(), maintenance.stop()]);
    });
    const alerts = startAlerts(operators, { listener, hosts: names }, random.fork("alerts"));
    const kinds = options.faults ?? faultKinds;
    const nemesis = startNemesis({ fleet, random: random.fork("nemesis"), kinds, log });
    const tell = setInterval(() => {
      const sum = (counts: ReadonlyMap<unknown, number>) =>
        [...counts.values()].reduce((a, b) => a + b, 0);
      log(`${sum(load.counts)} operations, ${sum(nemesis.counts)} faults`);
    }, 15_000);
    try {
      await sleep(minutes * 60_000, undefined, {
        signal: AbortSignal.any([signal, nemesis.failed]),
      });
    } finally {
      clearInterval(tell);
      await nemesis.stop();
    }
    log("all faults are healed, waiting for the requests to end");
    await maintenance.stop();
    const scheduled = await schedules.stop();
    await load.stop();
    const { url } = fleet.database;
    await untilSettled({ url, journals: () => journalsOf(fleet), log, signal });
    const [daemonsInTheEnd, lastAnswers] = await Promise.all([daemons.stop(log), alerts.stop()]);
    delays.disable();
    await observer.stop();
    await stale.stop();
    const connection = await openDatabase(url);
    const stored = await readStore(connection);
    const storedAlerts = await readAlerts(connection, daemonCluster);
    await connection.end();
    const history: History = {
      ...{ seed, ...stored },
      ...{ submissions: load.submissions, words: load.words, progress: load.progress },
      ...{ sightings: observer.sightings, ownership: observer.ownership },
      journals: [...nemesis.evidence.wipedJournals, ...journalsOf(fleet)],
      schedules: scheduled,
      maintenance: maintenance.periods,
      daemons: daemonsInTheEnd,
      alerts: { answers: alerts.answers, last: lastAnswers, ...storedAlerts },
      crashes: nemesis.evidence.crashes,
      ailments: [...ailments, ...memory.excesses],
      scripts: fleet.hosts.flatMap(({ name, scriptLog }) => readScriptLog(name, scriptLog)),
      staleTries: stale.tries,
      databaseKills: nemesis.evidence.databaseKills,
      explanations: await explain(operators, stored.tasks),
    };
    const violations = checkHistory(history);
    keep = violations.length > 0 || options.keep === true;
    return {
      ...{ history, violations, peaks: memory.peaks, skipped: fleet.skipped },
      heldUpMs: Math.round(delays.max / 1e6),
      ...{ operations: load.counts, faults: nemesis.counts },
      folder: keep ? fleet.dir : undefined,
    };
  } finally {
    keep &&= options.signal?.aborted !== true;
    over.abort(new Error("the run is over"));
    if (keep) log(`the run's folder is kept: ${fleet.dir}`);
    // One that fails keeps the others from nothing.
    const failed: unknown[] = [];
    for (const step of [...cleanUp.toReversed(), () => fleet.stop(keep)]) {
      await step().catch((error: unknown) => failed.push(error));
    }
    for (const error of failed) log(`not cleaned up: ${String(error)}`);
  }
}

async function untilConnected(
  operators: Operators,
  count: number,
  signal: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const { hosts } = await operators.insist(({ fleet }) => fleet.listHosts({}));
    const connected = hosts.filter((host) => host.connected);
    if (connected.length >= count) return;
    if (performance.now() > deadline)
      throw new Error(`only ${connected.length} of ${count} hosts are connected`);
    await sleep(200, undefined, { signal });
  }
}

function groundOf({ hosts }: ChaosFleet): LoadGround {
  return {
    hosts: hosts.map(({ name }) => name),
    command: join(root, "test", "src", "chaos", "command.sh"),
    behave(name, roleCommand, behaviour) {
      const host = hosts.find((one) => one.name === name);
      if (host === undefined || host.smallDisk) return; // that disk may be full
      const folder = join(host.prefix, "behaviour");
      mkdirSync(folder, { recursive: true });
      const file = join(folder, `${roleCommand}.json`);
      writeFileSync(`${file}.new`, JSON.stringify(behaviour));
      renameSync(`${file}.new`, file);
    },
  };
}

function journalsOf({ hosts }: ChaosFleet): Journal[] {
  return hosts.map(({ name, prefix }) => readJournal(name, journalFile(prefix)));
}

async function explain(
  operators: Operators,
  tasks: readonly StoredTask[],
): Promise<Map<number, readonly string[]>> {
  const explanations = new Map<number, readonly string[]>();
  for (const { taskId } of tasks.filter(({ status }) => !doneStatuses.has(status)).slice(0, 100)) {
    try {
      const { waits } = await operators.door().requests.explainTask({ taskId: BigInt(taskId) });
      explanations.set(
        taskId,
        waits.map(({ text }) => text),
      );
    } catch (error) {
      ConnectError.from(error); // nobody says why: that is for the checks
    }
  }
  return explanations;
}
