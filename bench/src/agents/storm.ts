import { setTimeout as sleep } from "node:timers/promises";
import type { Simulator } from "@howdah/simulator/testing/simulator-process";
import { cpuMs } from "../agent/process-usage.js";
import type { BenchSystem } from "../system/bench-system.js";
import { until } from "../until.js";

/** How long all agents were in coming back. */
export interface Storm {
  /** From the moment at which the new dispatcher said that it listens. */
  readonly backMs: number;
  /** From the moment at which its process was started. */
  readonly sinceStartMs: number;
  /** Milliseconds of CPU that the services, and all agents together, used meanwhile, by name. */
  readonly cpu: Readonly<Record<string, number>>;
}

const mostMs = 300_000;

/**
 * Kills the dispatcher, starts it again on its port and waits until each agent has a session again. It is started at once, as what looks after a
 * process does it, or `downMs` after every agent has noticed. The agents' pauses between their tries are those of real ones.
 * Rejects with `TookTooLong` when they are not back within five minutes.
 */
export async function stormAfterKill(
  { installation }: BenchSystem,
  simulators: readonly Simulator[],
  agents: number,
  downMs: number,
  signal: AbortSignal,
): Promise<Storm> {
  const { dispatcher } = installation;
  const sum = (key: "connected" | "reconnects") =>
    simulators.reduce((total, simulator) => total + (simulator.counts()?.[key] ?? 0), 0);
  const before = sum("reconnects");
  const reconnects = () => sum("reconnects") - before;
  dispatcher.kill("SIGKILL");
  await dispatcher.exited;
  if (downMs > 0) {
    await until(() => sum("connected") === 0, "no agent to be connected", { signal, mostMs });
    await sleep(downMs, undefined, { signal });
  }
  const usedBefore = usage(installation, simulators);
  const startedAt = performance.now();
  await dispatcher.restart();
  const listensAt = performance.now();
  const isBack = () => reconnects() >= agents && sum("connected") === agents;
  const what = () => `${agents} agents to be back, which ${sum("connected")} are`;
  await until(isBack, what, { signal, mostMs });
  const now = performance.now();
  const cpu = Object.entries(usage(installation, simulators)).map(
    // The dispatcher's process is a new one.
    ([name, ms]) => [name, name === "dispatcher" ? ms : ms - (usedBefore[name] ?? 0)] as const,
  );
  return {
    backMs: now - listensAt,
    sinceStartMs: now - startedAt,
    cpu: Object.fromEntries(cpu),
  };
}

function usage(
  { mariadb, dispatcher, commandStore, scheduler }: BenchSystem["installation"],
  simulators: readonly Simulator[],
): Record<string, number> {
  const pids = {
    ...{ dispatcher: [dispatcher.pid], store: [commandStore.pid], scheduler: [scheduler.pid] },
    ...{ mariadbd: [mariadb?.pid ?? 0], agents: simulators.map(({ process: { pid = 0 } }) => pid) },
  };
  return Object.fromEntries(
    Object.entries(pids).map(([name, all]) => [name, all.reduce((ms, pid) => ms + used(pid), 0)]),
  );
}

function used(pid: number): number {
  try {
    return cpuMs(pid);
  } catch {
    return 0; // it is not running now
  }
}
