import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startBundledAgent } from "../agent/bundled-agent.js";
import type { BenchContext } from "../measure.js";
import type { BenchSystem } from "../system/bench-system.js";
import { until } from "../until.js";
import { createTimeNote, nowMs } from "./note-time.js";

/** How long one command took, in ms. */
export interface CommandTimes {
  /** From the call of SubmitRequest to the first instruction of the script on the host. */
  readonly exec: number;
  /** From the call to its answer: the request is committed. */
  readonly submitted: number;
}

/** Runs one command on one real agent and waits until its request is over and the system is quiet again. */
export type ExecProbe = () => Promise<CommandTimes>;

/** For what is still done when a request is over: acknowledgements, files. */
const quietMs = 25;

/**
 * Adds the agent as it is installed to a system, one only, as the host `bench`, and measures from SubmitRequest, called at the scheduler
 * as the gateway does, to the script's first instruction, by the wall clock of one machine. The first dozen runs compile what has not run
 * yet: do not count them.
 */
export async function startExecProbe(
  context: Pick<BenchContext, "signal" | "after">,
  { installation, fleet, submitLine, over }: BenchSystem,
): Promise<ExecProbe> {
  const { signal } = context;
  const { dispatcher } = installation;
  const agent = await startBundledAgent(context, dispatcher.addresses.agents ?? "");
  const note = createTimeNote(join(agent.folders.tmp, "bench"));
  const host = "bench";
  const isThere = async () => {
    const { hosts } = await fleet.listHosts({ selector: { names: [host] }, pageSize: 1 });
    return hosts.length > 0;
  };
  await until(isThere, "the agent to register", { signal, mostMs: 60_000, everyMs: 50 });
  let runs = 0;
  return async () => {
    signal.throwIfAborted();
    runs += 1;
    const name = `note-${runs}`;
    const argv = note.argv(name);
    const began = nowMs();
    const requestId = await submitLine(host, { argv });
    const submitted = nowMs() - began;
    const exec = (await note.read(name, signal)) - began;
    const { counts } = await over(requestId, 60_000);
    if (counts?.completed !== 1) throw new Error(`request ${requestId} did not complete`);
    await sleep(quietMs, undefined, { signal });
    return { exec, submitted };
  };
}
