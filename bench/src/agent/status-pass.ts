import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { checkOf, packageDigest } from "@howdah/agent/testing/test-checks";
import type { TestSession } from "@howdah/agent/testing/test-dispatcher";
import { StatusCommandSchema } from "@howdah/proto/howdah/v1/agent_service";
import type { Measure } from "../measure.js";
import { median } from "../statistics.js";
import type { BundledAgent } from "./bundled-agent.js";
import { childrenCpuMs, cpuMs } from "./process-usage.js";

/** What measuring a pass needs. */
export interface StatusSubject {
  readonly agent: BundledAgent;
  readonly session: TestSession;
  readonly quick: boolean;
  readonly signal: AbortSignal;
}

const components = 20;

/**
 * Has the status of 20 components checked again and again, by scripts of shell that exit at once, and tells what a component's check
 * costs. A pass is over when the last script has noted that it ran.
 */
export async function statusPass(subject: StatusSubject): Promise<Measure[]> {
  const { agent, session, quick, signal } = subject;
  const scripts = join(agent.folders.cache, "packages", packageDigest, "scripts");
  mkdirSync(scripts, { recursive: true });
  const names = Array.from({ length: components }, (_, n) => `C${n + 1}`);
  for (const name of names) writeFileSync(join(scripts, `${name}.sh`), "exit 0\n");
  const own: number[] = [];
  const scriptsCpu: number[] = [];
  const wall: number[] = [];
  const passes = quick ? 5 : 20;
  for (let pass = 0; pass <= passes; pass += 1) {
    const before = { own: cpuMs(agent.pid), children: childrenCpuMs(agent.pid) };
    const began = performance.now();
    await onePass(session, names, pass, signal);
    const took = performance.now() - began;
    if (pass === 0) continue; // the first one compiles what has not run yet
    own.push((cpuMs(agent.pid) - before.own) / components);
    scriptsCpu.push((childrenCpuMs(agent.pid) - before.children) / components);
    wall.push(took);
  }
  const of = `${passes} passes of ${components} components`;
  return [
    { what: "status: agent's CPU a component", unit: "ms", value: median(own), note: of },
    { what: "status: scripts' CPU a component", unit: "ms", value: median(scriptsCpu) },
    { what: "status: a pass", unit: "ms", value: median(wall) },
  ];
}

/**
 * One pass from the server's word to the last state told. What a check runs is another in each pass, so that its state is told anew: the
 * agent tells only what has changed.
 */
async function onePass(
  session: TestSession,
  names: readonly string[],
  pass: number,
  signal: AbortSignal,
): Promise<void> {
  const missing = new Set(names);
  const told = new Promise<void>((resolve) => {
    session.onHeard = (message) => {
      if (message.case !== "componentStatusReport") return;
      for (const { componentName, clusterId } of message.value.statuses) {
        if (clusterId === BigInt(pass + 1)) missing.delete(componentName);
      }
      if (missing.size === 0) resolve();
    };
  });
  const checks = names.map((name) => checkOf(name, { clusterId: BigInt(pass + 1) }));
  session.say({ case: "statusCommand", value: create(StatusCommandSchema, { checks }) });
  const patience = AbortSignal.timeout(60_000);
  const either = AbortSignal.any([patience, signal]);
  await Promise.race([
    told,
    sleep(61_000, undefined, { signal: either }).catch(() => {
      signal.throwIfAborted();
      throw new Error(`no word of ${[...missing].join(", ")} within 60 s`);
    }),
  ]);
}
