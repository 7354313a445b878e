import { setTimeout as sleep } from "node:timers/promises";
import {
  serveDispatcher,
  shellTask,
  type TestDispatcher,
  type TestSession,
} from "@howdah/agent/testing/test-dispatcher";
import type { Bench, BenchContext, BenchResult, Measure } from "../measure.js";
import { percentile } from "../statistics.js";
import { until } from "../until.js";
import { type BundledAgent, startBundledAgent } from "./bundled-agent.js";
import { cpuMs, memoryOf, sharers } from "./process-usage.js";
import { startTimes } from "./start-latency.js";
import { statusPass } from "./status-pass.js";

interface Subject extends BenchContext {
  readonly agent: BundledAgent;
  readonly dispatcher: TestDispatcher;
  readonly session: TestSession;
}

/** The agent as it is installed, with a dispatcher of its own in the benchmark's process. */
export const agentBench: Bench = {
  name: "agent",
  about: "the installed agent: memory, CPU, how fast a script runs, what a status check costs",
  async run(context) {
    const dispatcher = await serveDispatcher(context);
    const agent = await startBundledAgent(context, dispatcher.directAddress);
    const session = await dispatcher.session();
    return measure({ ...context, agent, dispatcher, session });
  },
};

async function measure(subject: Subject): Promise<BenchResult> {
  const { log, quick } = subject;
  log(`idle, for ${quick ? 15 : 125} s`);
  const { measures: idle, others } = await idleUsage(subject);
  log("ten commands running");
  const busy = await tenRunning(subject);
  log("starts, one after the other");
  const starts = await starting(subject);
  log("status checks");
  const status = await statusPass(subject);
  return {
    measures: [...idle, ...busy, ...starts, ...status],
    notes: [
      `Proportional: ${others} other processes ran the same Node program and shared its pages; where an agent is the only one, it is nearer to the resident figure.`,
      "Start: from the command's arrival (the dispatcher's word, and half of a probe's way there and back) to the first instruction of the script, so bash's own start is in it. Floor: the same script spawned bare by Node, in turn with it; the supervisor's part is the same under the supervisor, less that.",
    ],
  };
}

async function idleUsage(subject: Subject): Promise<{ measures: Measure[]; others: number }> {
  const { agent, quick, signal } = subject;
  await sleep(5_000, undefined, { signal }); // what it did to start is over
  const windowMs = quick ? 10_000 : 60_000;
  const first = await cpuShare(agent.pid, windowMs, signal);
  const second = quick ? undefined : await cpuShare(agent.pid, windowMs, signal);
  const cpu = (what: string, value: number, judged: string): Measure => ({
    ...{ what: `idle: CPU, ${what}`, unit: "% of a core", value },
    ...(quick ? { note: "too short to judge" } : { target: { most: 0.2 }, note: judged }),
  });
  const memory = memoryOf(agent.pid);
  const note = `private ${memory.privateMib.toFixed(1)} MiB`;
  return {
    others: sharers(agent.pid),
    measures: [
      { what: "idle: resident", unit: "MiB", value: memory.residentMib, target: { most: 75 } },
      {
        ...{ what: "idle: proportional", unit: "MiB", value: memory.proportionalMib, note },
        target: { most: 50 },
      },
      // The engine collects what the start has left in either, when it thinks fit: that is more than all the rest.
      cpu("first minute", first, "from 5 s after the start"),
      ...(second === undefined ? [] : [cpu("second minute", second, "")]),
    ],
  };
}

async function cpuShare(pid: number, forMs: number, signal: AbortSignal): Promise<number> {
  const [before, began] = [cpuMs(pid), performance.now()];
  await sleep(forMs, undefined, { signal });
  return ((cpuMs(pid) - before) / (performance.now() - began)) * 100;
}

/** Background commands: they run beside each other. */
async function tenRunning(subject: Subject): Promise<Measure[]> {
  const { agent, dispatcher, session, quick, signal } = subject;
  const tasks = Array.from({ length: 10 }, (_, n) => 100_001 + n);
  for (const task of tasks) session.say(shellTask(task, "sleep 300", {}, { background: true }));
  const haveStarted = () =>
    tasks.every((task) => dispatcher.reports.some((one) => one.taskId === BigInt(task)));
  await until(haveStarted, "ten commands to start", { signal, mostMs: 30_000, everyMs: 50 });
  const cpu = await cpuShare(agent.pid, quick ? 5_000 : 30_000, signal);
  const { residentMib, proportionalMib } = memoryOf(agent.pid);
  for (const task of tasks) {
    session.say({
      case: "cancelCommand",
      value: {
        $typeName: "howdah.v1.CancelCommand",
        taskId: BigInt(task),
        attempt: 1,
        reason: "measured",
      },
    });
  }
  await Promise.all(tasks.map((task) => dispatcher.ended(task)));
  return [
    { what: "ten commands: resident", unit: "MiB", value: residentMib },
    { what: "ten commands: proportional", unit: "MiB", value: proportionalMib },
    { what: "ten commands: CPU", unit: "% of a core", value: cpu },
  ];
}

async function starting({ agent, session, quick, signal }: Subject): Promise<Measure[]> {
  const rounds = quick ? 100 : 300;
  const { command, supervised, bare, wire } = await startTimes(
    ...([session, agent.folders, rounds, signal] as const),
  );
  const [p50, p99] = [0.5, 0.99];
  const at = (values: readonly number[], share: number) => percentile(values, share);
  const minus = (from: readonly number[], less: readonly number[]) =>
    from.map((value, n) => value - (less[n] ?? Number.NaN));
  const supervisor = minus(supervised, bare);
  const received = minus(command, wire);
  const more = minus(received, bare);
  const after = memoryOf(agent.pid);
  return [
    {
      ...{ what: "start, p50", unit: "ms", value: at(received, p50), floor: at(bare, p50) },
      ...{ target: { most: 8 }, note: `${rounds} commands` },
    },
    { what: "start, p99", unit: "ms", value: at(received, p99), floor: at(bare, p99) },
    {
      ...{ what: "  more than its floor, p50", unit: "ms", value: at(more, p50) },
      note: "all that agent and supervisor add",
    },
    {
      ...{ what: "  a supervisor started for it, p50", unit: "ms", value: at(supervisor, p50) },
      ...{ target: { most: 5 }, note: "more than the floor; none waits" },
    },
    { what: "before it: the wire, p50", unit: "ms", value: at(wire, p50) },
    { what: "resident after them", unit: "MiB", value: after.residentMib },
  ];
}
