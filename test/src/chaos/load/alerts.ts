import { AlertState } from "@howdah/proto/howdah/v1/alert";
import type { Listener } from "../../system/listener.js";
import type { AlertAnswer } from "../check/history.js";
import type { Random } from "../random.js";
import { rest } from "../rest.js";
import { uptimeMs } from "../uptime.js";
import { alertNames, daemonCluster } from "./daemon-stack.js";
import type { Operators } from "./operators.js";

/** Somebody who asks for alerts while what they look at comes and goes. */
export interface Alerts {
  readonly answers: readonly AlertAnswer[];
  /** Has the listener answer for good, asks every host for every alert until all have answered, and resolves with these last answers. */
  stop(): Promise<AlertAnswer[]>;
}

/** So often all are asked at the end, until each has answered. */
const lastTries = 10;

/** Starts to ask. */
export function startAlerts(
  operators: Operators,
  { listener, hosts }: { readonly listener: Listener; readonly hosts: readonly string[] },
  random: Random,
): Alerts {
  const stopping = new AbortController();
  const answers: AlertAnswer[] = [];

  /** Asks all hosts; what came before a call broke off counts. */
  async function ask(name: string): Promise<AlertAnswer[]> {
    const came: AlertAnswer[] = [];
    try {
      const { alertRuns } = operators.door();
      for await (const each of alertRuns.runAlert({ cluster: daemonCluster, name })) {
        const state = each.state === AlertState.UNSPECIFIED ? undefined : AlertState[each.state];
        const { hostName: host, text } = each;
        came.push({ atMs: uptimeMs(), name, host, text, ...(state !== undefined && { state }) });
      }
    } catch {
      // The connection, or one of the services behind it, is away just now.
    }
    answers.push(...came);
    return came;
  }

  async function work(): Promise<void> {
    const ends = AbortSignal.any([stopping.signal, operators.closed]);
    while (!ends.aborted) {
      await (random.chance(0.5) ? listener.open() : listener.close());
      await ask(random.pick(alertNames));
      await rest(random.between(2_000, 6_000), ends);
    }
  }
  const working = work();

  return {
    answers,
    async stop() {
      stopping.abort();
      await working;
      await listener.open();
      const last: AlertAnswer[] = [];
      for (const name of alertNames) {
        const found = new Map<string, AlertAnswer>();
        const answered = () => [...found.values()].filter(({ state }) => state !== undefined);
        for (let tries = 0; tries < lastTries && answered().length < hosts.length; tries += 1) {
          if (tries > 0) await rest(2_000, operators.closed);
          for (const answer of await ask(name)) found.set(answer.host, answer);
        }
        const silent = hosts.filter((host) => !found.has(host));
        const nothing = silent.map((host) => ({ atMs: uptimeMs(), name, host, text: "nothing" }));
        last.push(...found.values(), ...nothing);
      }
      return last;
    },
  };
}
