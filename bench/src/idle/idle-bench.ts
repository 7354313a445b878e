import { setTimeout as sleep } from "node:timers/promises";
import { hostNames } from "@howdah/simulator/host-name";
import type { Bench, BenchContext, Measure } from "../measure.js";
import { applyDatabases } from "../system/apply-cluster.js";
import { startBenchSystem } from "../system/bench-system.js";
import { type Asked, openQuestions } from "./questions.js";

interface Sizes {
  readonly agents: readonly number[];
  readonly settleMs: number;
  /** What is told to hosts, and counted at first, when a cluster is made is not what an idle installation asks. */
  readonly settleClusterMs: number;
  readonly countMs: number;
}

const full: Sizes = {
  agents: [1_000, 5_000],
  settleMs: 20_000,
  settleClusterMs: 20_000,
  countMs: 60_000,
};
const quick: Sizes = {
  agents: [200, 1_000],
  settleMs: 3_000,
  settleClusterMs: 15_000,
  countMs: 10_000,
};

/** The most that an idle installation may ask its database in a second. */
const mostQuestions = 2;

/** Of how many kinds of statements is told. */
const mostKinds = 12;

/** Idle agents must cost the database nothing: what it is asked is the processes' own, however many hosts there are. */
export const idleBench: Bench = {
  name: "idle",
  about: "queries a second at MySQL with 1,000 and 5,000 idle agents and nothing to do",
  async run(context) {
    const sizes = context.quick ? quick : full;
    const found: { what: string; asked: Asked }[] = [];
    for (const agents of sizes.agents) {
      const { bare, clustered } = await measure(context, sizes, agents);
      const hosts = `${agents.toLocaleString("en")} agents`;
      found.push({ what: hosts, asked: bare });
      found.push({ what: `${hosts}, all in a cluster`, asked: clustered });
    }
    return {
      measures: found.map(({ what, asked }) => toMeasure(what, asked)),
      notes: [
        `The growth of the status Questions over ${sizes.countMs / 1_000} s, without the benchmark's own. BEGIN, COMMIT and pings of the pool count. One process of each service; every further one renews a lease, which is 0.5 a second.`,
        "The cluster: a component on each host, checked once a minute, and the alerts that ship.",
        ...found.map(({ what, asked }) => `${what}: ${statements(asked)}`),
      ],
    };
  },
};

async function measure(context: BenchContext, sizes: Sizes, agents: number) {
  const { log, signal } = context;
  const system = await startBenchSystem(context);
  await system.playHosts(agents);
  const questions = await openQuestions(system.installation.databaseUrl);
  try {
    log(`${agents} hosts are connected`);
    await sleep(sizes.settleMs, undefined, { signal });
    const bare = await questions.over(sizes.countMs, signal);
    log(`${agents} hosts: ${statements(bare)}`);
    await applyDatabases(system, hostNames("sim", agents));
    await sleep(sizes.settleClusterMs, undefined, { signal });
    const clustered = await questions.over(sizes.countMs, signal);
    log(`${agents} hosts in a cluster: ${statements(clustered)}`);
    return { bare, clustered };
  } finally {
    await questions.close();
    // Before the next one starts.
    await system.stop();
  }
}

function toMeasure(what: string, { questions, seconds }: Asked): Measure {
  return {
    ...{ what, unit: "queries/s", value: questions / seconds },
    target: { most: mostQuestions },
    note: `${questions} in ${seconds.toFixed(0)} s`,
  };
}

function statements({ kinds, seconds }: Asked): string {
  const told = kinds.slice(0, mostKinds).map(({ kind, count }) => {
    return `${kind} ${(count / seconds).toFixed(2)}`;
  });
  return [...told, ...(kinds.length > mostKinds ? ["and rarer ones"] : [])].join(", ");
}
