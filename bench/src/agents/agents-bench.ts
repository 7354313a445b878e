import { setTimeout as sleep } from "node:timers/promises";
import { openFilesFor } from "@howdah/simulator/open-files";
import { connectionsTo } from "@howdah/simulator/testing/connections";
import type { Simulator } from "@howdah/simulator/testing/simulator-process";
import { cpuMs, memoryOf } from "../agent/process-usage.js";
import type { Measure } from "../measure.js";
import { type Bench, type BenchContext, type BenchResult, BenchSkipped } from "../measure.js";
import { onlyTold } from "../only-told.js";
import { median, pairedRatio, spread } from "../statistics.js";
import { type BenchSystem, startBenchSystem } from "../system/bench-system.js";
import { canMakeCertificates } from "../system/certificates.js";
import { type BareStreams, startBareStreams } from "./bare-streams.js";
import { type Storm, stormAfterKill } from "./storm.js";
import { talkOfAgents } from "./talk-of-agents.js";

/** How much is measured. */
export interface AgentsSizes {
  readonly agents: number;
  /** After all have connected, before anything is measured. */
  readonly settleMs: number;
  readonly windows: number;
  /** As long as an agent's pause between two heartbeats, so that each says one in it. */
  readonly windowMs: number;
  readonly heartbeatMs: number;
  /** For how long the dispatcher is down after every agent has noticed, each time; 0: it is started again at once. */
  readonly downMs: readonly number[];
  readonly withTls: boolean;
}

const full: AgentsSizes = {
  ...{ agents: 10_000, settleMs: 60_000, windows: 3, windowMs: 60_000, heartbeatMs: 60_000 },
  downMs: [0, 15_000],
  withTls: true,
};
const quick: AgentsSizes = {
  ...{ agents: 1_000, settleMs: 6_000, windows: 2, windowMs: 12_000, heartbeatMs: 12_000 },
  downMs: [0],
  withTls: false,
};

const perSecond = 1_000;
/** Agents that begin to connect in a second where each handshake has signatures to make and to check. */
const tlsPerSecond = 200;
const most = { memory: 1.3, cpu: 1.5, stormMs: 30_000 };

/** Idle agents, a connection each, beside the same number of idle streams of a bare server; and how soon they are back after its death. */
export const agentsBench: Bench = {
  name: "agents",
  about:
    "idle sessions on one dispatcher, a connection each: memory, CPU, and a storm of registrations",
  run: (context) => runAgents(context, context.quick ? quick : full),
};

/** Measures so much. Throws `BenchSkipped` when a process may not have that many connections open. */
export async function runAgents(context: BenchContext, sizes: AgentsSizes): Promise<BenchResult> {
  checkOpenFiles(sizes.agents);
  const talk = talkOfAgents(sizes.heartbeatMs);
  const bare = await startBareStreams(context, talk, 1_000);
  const system = await startBenchSystem(context, {
    env: { HOWDAH_HEARTBEAT: `${sizes.heartbeatMs}ms` },
  });
  const { measures, notes } = await measure(context, sizes, system, bare);
  await system.stop();
  const tls = await onlyTold("The storm with mTLS", () => stormWithTls(context, sizes));
  return { measures: [...measures, ...tls.measures], notes: [...notes, ...tls.notes] };
}

function checkOpenFiles(agents: number): void {
  const { needed, limit } = openFilesFor(agents);
  if (needed <= limit) return;
  throw new BenchSkipped(
    `a process may have ${limit} open files, and ${agents} connections need ${needed}: raise the limit with "ulimit -n ${needed}"`,
  );
}

async function measure(
  { log, signal }: BenchContext,
  sizes: AgentsSizes,
  system: BenchSystem,
  bare: BareStreams,
): Promise<BenchResult> {
  const { agents } = sizes;
  const { dispatcher } = system.installation;
  const emptyMib = memoryOf(dispatcher.pid).residentMib;
  // One after the other, so that neither is slowed by the other while it connects.
  const simulators = await playHalves(system, agents, perSecond);
  log(`${agents} agents are connected`);
  await bare.connect(agents, perSecond, signal);
  log(`${agents} bare streams are open`);
  await sleep(sizes.settleMs, undefined, { signal });

  const sockets = connectionsTo(portOf(dispatcher.addresses.agents ?? "")).length;
  const bareSockets = connectionsTo(bare.port).length;
  for (const [what, count] of [
    ["agents", sockets],
    ["bare streams", bareSockets],
  ] as const) {
    if (count !== agents) throw new Error(`${agents} ${what} have ${count} connections`);
  }

  const ours: Window[] = [];
  const theirs: Window[] = [];
  for (let n = 1; n <= sizes.windows; n += 1) {
    const [own, other] = await Promise.all([
      windowOf(dispatcher.pid, emptyMib, sizes, signal),
      windowOf(bare.pid, bare.emptyMib, sizes, signal),
    ]);
    ours.push(own);
    theirs.push(other);
    log(`dispatcher ${windowText(own)}; bare ${windowText(other)}`);
  }
  await bare.stop();

  const storms: Storm[] = [];
  for (const downMs of sizes.downMs) {
    const storm = await stormAfterKill(system, simulators, agents, downMs, signal);
    storms.push(storm);
    log(`down for ${downMs} ms: ${stormText(storm)}`);
  }
  return {
    measures: [
      ...ratioOf("memory a session", "KiB", ours, theirs, ({ kibEach }) => kibEach, most.memory),
      ...ratioOf(
        `CPU of all ${agents.toLocaleString("en")}`,
        "ms a s",
        ours,
        theirs,
        ({ cpuMsPerS }) => cpuMsPerS,
        most.cpu,
      ),
      ...storms.map((storm, at) => stormMeasure(storm, sizes.downMs[at] ?? 0)),
    ],
    notes: [
      `${sockets.toLocaleString("en")} established connections to the dispatcher, as many to the bare server. Both ends of each ping every 12 s; a heartbeat every ${sizes.heartbeatMs / 1_000} s. Both servers are measured over the same ${sizes.windows} times ${sizes.windowMs / 1_000} s, ${sizes.settleMs / 1_000} s after all had connected.`,
      `Memory: the growth of the process's resident memory since it was empty, by the number of sessions; the dispatcher's, empty, is ${emptyMib.toFixed(0)} MiB, the bare server's ${bare.emptyMib.toFixed(0)}. CPU: of the whole process, what it does besides for its lease and the scheduler too.`,
      "Storm: the dispatcher's process is killed, and started again on its port at once, or so long after every agent has noticed; counted from the moment that it listens until each has a session again. Agents pause between their tries as real ones do: up to 0.1 s at first, doubling to 10 s, anywhere in the upper half. Two processes play all of them on the same cores: each try that fails costs those about half a millisecond.",
      ...storms.map((storm) => `Storm: ${stormText(storm)}.`),
    ],
  };
}

/** The same storm where all show each other a certificate; its figure is only told. */
async function stormWithTls(context: BenchContext, sizes: AgentsSizes): Promise<BenchResult> {
  const { agents, withTls } = sizes;
  const { log, signal } = context;
  const why = withTls ? "there is no openssl command" : "that takes a full run";
  if (!withTls || !canMakeCertificates()) {
    return { measures: [], notes: [`The storm with mTLS is not measured: ${why}.`] };
  }
  const system = await startBenchSystem(context, { mutualTls: true });
  const simulators = await playHalves(system, agents, tlsPerSecond);
  log(`${agents} agents are connected with mTLS`);
  await sleep(sizes.settleMs / 4, undefined, { signal });
  const storm = await stormAfterKill(system, simulators, agents, 0, signal);
  log(`mTLS: ${stormText(storm)}`);
  const { what, unit, value, note = "" } = stormMeasure(storm, 0);
  return {
    measures: [{ what: `${what}, mTLS`, unit, value, note }],
    notes: [`Storm with mTLS: ${stormText(storm)}.`],
  };
}

/** Two processes play them: in one, agents that all try to connect again wait for each other. */
async function playHalves(system: BenchSystem, agents: number, rate: number): Promise<Simulator[]> {
  const half = Math.ceil(agents / 2);
  const options = ["--connect-rate", String(rate)];
  return [
    await system.playHosts(half, ...options),
    await system.playHosts(agents - half, "--prefix", "other", ...options),
  ];
}

/** What a server was over a while. */
interface Window {
  readonly kibEach: number;
  readonly cpuMsPerS: number;
}

async function windowOf(
  pid: number,
  emptyMib: number,
  { agents, windowMs }: AgentsSizes,
  signal: AbortSignal,
): Promise<Window> {
  const began = performance.now();
  const before = cpuMs(pid);
  await sleep(windowMs, undefined, { signal });
  const cpuMsPerS = (cpuMs(pid) - before) / ((performance.now() - began) / 1_000);
  return { kibEach: ((memoryOf(pid).residentMib - emptyMib) * 1_024) / agents, cpuMsPerS };
}

function ratioOf(
  what: string,
  unit: string,
  ours: readonly Window[],
  theirs: readonly Window[],
  read: (window: Window) => number,
  mostRatio: number,
): Measure[] {
  const values = ours.map(read);
  const floors = theirs.map(read);
  const note = `${spread(values)}; bare ${spread(floors)}`;
  return [
    { what, unit, value: median(values), floor: median(floors), note },
    {
      ...{ what: `${what}, by the bare server's`, unit: "", value: pairedRatio(values, floors) },
      target: { most: mostRatio },
    },
  ];
}

function stormMeasure(storm: Storm, downMs: number): Measure {
  const after = downMs === 0 ? "at once" : `after ${downMs / 1_000} s`;
  return {
    ...{ what: `storm, dispatcher back ${after}`, unit: "ms", value: storm.backMs },
    target: { most: most.stormMs },
    note: `${storm.sinceStartMs.toFixed(0)} since its process began`,
  };
}

function windowText({ kibEach, cpuMsPerS }: Window): string {
  return `${kibEach.toFixed(1)} KiB a session, ${cpuMsPerS.toFixed(1)} ms of CPU a s`;
}

function stormText({ backMs, sinceStartMs, cpu }: Storm): string {
  const used = Object.entries(cpu).map(([name, ms]) => `${name} ${ms.toFixed(0)} ms`);
  return `all back ${backMs.toFixed(0)} ms after it listened, ${sinceStartMs.toFixed(0)} ms after its process began; CPU ${used.join(", ")}`;
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}
