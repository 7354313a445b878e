import type { Bench, BenchContext, BenchResult } from "../measure.js";
import { median, pairedRatio, serial, spread } from "../statistics.js";
import { type BenchSystem, startBenchSystem } from "../system/bench-system.js";
import { type DatabaseFloor, startDatabaseFloor } from "./database-floor.js";
import { type EchoFloor, startEchoFloor } from "./echo-floor.js";
import { runTasks, throughputHosts } from "./run-tasks.js";

const commandBytes = 1_024;
/** More are no faster; a single one waits for the disk by turns. */
const floorConnections = 4;

/** Durable tasks a second, beside the two halves of the work done bare. */
export const throughputBench: Bench = {
  name: "throughput",
  about: "durable tasks a second from submit to terminal in MySQL, 200 simulated agents",
  async run(context) {
    const system = await startBenchSystem(context);
    await system.playHosts(throughputHosts, "--duration", "0ms");
    const { databaseUrl } = system.installation;
    const database = await startDatabaseFloor(context, databaseUrl, floorConnections);
    const alone = await startDatabaseFloor(context, databaseUrl, 1, "_alone");
    const echo = await startEchoFloor(context, throughputHosts, commandBytes);
    return measure(context, { system, database, alone, echo });
  },
};

interface Parts {
  readonly system: BenchSystem;
  readonly database: DatabaseFloor;
  readonly alone: DatabaseFloor;
  readonly echo: EchoFloor;
}

async function measure(
  context: BenchContext,
  { system, database, alone, echo }: Parts,
): Promise<BenchResult> {
  const { quick, log, signal } = context;
  const tasks = quick ? 5_000 : 100_000;
  const rounds = 3;
  // Each in about a fifth of the time that the tasks take.
  const floorTasks = quick ? 4_000 : 40_000;
  const all: Record<"ours" | "d" | "dAlone" | "g" | "floor" | "floorAlone", number[]> = {
    ...{ ours: [], d: [], dAlone: [], g: [], floor: [], floorAlone: [] },
  };
  // What everybody compiles and connects for the first time: until then a task costs half as much again.
  await runTasks(system, { tasks: 8_000 }, context);
  await database.tasks(2_000);
  await alone.tasks(2_000);
  await echo.roundTrips(10_000);
  for (let round = 1; round <= rounds; round += 1) {
    const { tasksPerSecond: ours } = await runTasks(system, { tasks }, context);
    const d = await database.tasks(floorTasks);
    const g = (await echo.roundTrips(2 * floorTasks)) / 2;
    const dAlone = await alone.tasks(floorTasks / 2);
    signal.throwIfAborted();
    const figures = { ours, d, dAlone, g, floor: serial(d, g), floorAlone: serial(dAlone, g) };
    for (const name of names) all[name].push(figures[name]);
    log(names.map((name) => `${name} ${Math.round(figures[name])}`).join(", "));
  }
  const floor = median(all.floor);
  return {
    measures: [
      {
        ...{ what: "tasks", unit: "a second", value: median(all.ours), floor },
        target: { least: floor / 2 },
        note: `${spread(all.ours, 0)}; floor ${spread(all.floor, 0)}`,
      },
      {
        ...{ what: "ratio to the floor, by pairs", unit: "" },
        value: pairedRatio(all.ours, all.floor),
        target: { least: 0.5 },
        note: "stretch 0.6",
      },
      {
        ...{ what: "the same, d on one connection", unit: "" },
        value: pairedRatio(all.ours, all.floorAlone),
      },
      { what: "d: statements alone", unit: "a second", value: median(all.d) },
      { what: "d on one connection", unit: "a second", value: median(all.dAlone) },
      { what: "g: half the bare round trips", unit: "a second", value: median(all.g) },
    ],
    notes: [
      `Tasks: ${tasks.toLocaleString("en")} in each of ${rounds} runs, as requests of one command line of 1 KiB on all ${throughputHosts} hosts, PARALLEL, four submits at a time: a host is sent up to four commands at a time. From the first submit until MySQL has every task as COMPLETED. The simulated agents' journals are in memory, and their commands take no time.`,
      `Floor: 1 / (1/d + 1/g). d: the store's own four statements for the same rows, 200 a batch, straight with mysql2 on ${floorConnections} connections (one is slower), committed as durably in the same MariaDB. g: a bare grpc-js stream on each of ${throughputHosts} connections that sends 1 KiB back, four on their way each; a task needs two round trips.`,
    ],
  };
}

const names = ["ours", "d", "dAlone", "g", "floor", "floorAlone"] as const;
