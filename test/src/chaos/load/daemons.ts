import { existsSync, readFileSync } from "node:fs";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import type { Daemon } from "../check/history.js";
import { readDaemonLog } from "../collect/read-daemon-log.js";
import type { Host } from "../fleet/chaos-fleet.js";
import type { Random } from "../random.js";
import { rest } from "../rest.js";
import { uptimeMs } from "../uptime.js";
import { applyDaemons, daemonCluster } from "./daemon-stack.js";
import type { Operators } from "./operators.js";

/** A daemon on each host that its agent starts by itself, and somebody who kills them. */
export interface Daemons {
  /**
   * Kills nothing any more, and waits until all of them run again and the store says so, for as long as that may take; what does not is
   * for the checks.
   */
  stop(log: (line: string) => void): Promise<Daemon[]>;
}

/** One that was started is started again by its agent a minute later at the earliest: it is let alone for that long. */
const sparedMs = 62_000;
/** Until the next check of the status, a start, and a further one where a crash ended the first. */
const recoverMs = 120_000;

/** Sets up the daemons, which takes two requests, and starts to kill one now and then. @param dir for the stack */
export async function startDaemons(
  operators: Operators,
  { hosts, dir, listener }: { readonly hosts: readonly Host[]; dir: string; listener: string },
  random: Random,
): Promise<Daemons> {
  await applyDaemons(operators, { hosts: hosts.map(({ name }) => name), dir, listener });
  for (const verb of [RoleCommand.INSTALL, RoleCommand.START]) await operate(operators, verb);

  const stopping = new AbortController();
  const killed = new Set<string>();
  async function kill(): Promise<void> {
    while (!stopping.signal.aborted && !operators.closed.aborted) {
      await rest(
        random.between(2_000, 5_000),
        AbortSignal.any([stopping.signal, operators.closed]),
      );
      const host = random.pick(hosts);
      const pid = pidOf(host);
      const lastMs = linesOf(host).at(-1)?.atMs ?? 0;
      const spared = killed.has(host.name) && uptimeMs() - lastMs < sparedMs;
      if (stopping.signal.aborted || pid === undefined || spared) continue;
      killed.add(host.name);
      process.kill(pid, "SIGKILL");
    }
  }
  const killing = kill();

  return {
    async stop(log) {
      stopping.abort();
      await killing;
      const deadline = performance.now() + recoverMs;
      for (;;) {
        const stored = await storedStates(operators);
        const daemons = hosts.map((host) => ({
          host: host.name,
          runs: pidOf(host) !== undefined,
          stored: stored.get(host.name) ?? "none",
          lines: linesOf(host),
        }));
        const down = daemons.filter(({ runs, stored: state }) => !runs || state !== "STARTED");
        if (down.length === 0 || performance.now() > deadline || operators.closed.aborted) {
          log(`${hosts.length - down.length} of ${hosts.length} daemons run`);
          return daemons;
        }
        await rest(500, operators.closed);
      }
    },
  };
}

/** Has the daemons installed or started, by a request that completes. */
async function operate(operators: Operators, roleCommand: RoleCommand): Promise<void> {
  const value = { cluster: daemonCluster, roleCommand, skipServiceChecks: true };
  const message = {
    operation: { kind: { case: "service" as const, value } },
    idempotencyKey: `daemons ${RoleCommand[roleCommand]}`,
  };
  const made = await operators.insist(({ requests }) => requests.submitRequest(message));
  const requestId = made.request?.requestId ?? 0n;
  for (;;) {
    const { request } = await operators.insist(({ store }) => store.getRequest({ requestId }));
    if (request?.status === Status.COMPLETED) return;
    if (request?.progressPercent === 100 || operators.closed.aborted) {
      throw new Error(`the daemons' request ${requestId} is ${Status[request?.status ?? 0]}`);
    }
    await rest(200, operators.closed);
  }
}

async function storedStates(operators: Operators): Promise<Map<string, string>> {
  const { hostComponents } = await operators.insist(({ fleet }) =>
    fleet.listHostComponents({ cluster: daemonCluster, pageSize: 10_000 }),
  );
  return new Map(
    hostComponents.map((each) => [each.hostName, ComponentState[each.currentState] ?? ""]),
  );
}

function logOf({ scriptLog }: Host): string {
  return scriptLog.replace(/[.]log$/, ".daemon");
}

function linesOf(host: Host) {
  return readDaemonLog(logOf(host));
}

/** The daemon's process, when it runs. */
function pidOf(host: Host): number | undefined {
  const file = `${logOf(host)}.pid`;
  const pid = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  try {
    const isOurs = readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(logOf(host));
    return isOurs ? pid : undefined;
  } catch {
    return undefined; // it does not run
  }
}
