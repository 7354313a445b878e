import { type AlertDefinition, AlertState } from "@howdah/proto/howdah/v1/alert";
import type { Knex } from "knex";
import { listed } from "../fleet/cluster.js";
import type { KnownDefinition } from "../store/alert-watchers.js";
import { listClusters, readCluster } from "../store/read-cluster.js";
import { listRequests, readRequestCounts } from "../store/read-requests.js";
import { listStaleAlerts, readHeartbeats } from "../store/server-alert-facts.js";
import { readSource } from "./definition-checks.js";

/** What the server found out about a host, or about the cluster (host 0, no name). */
export interface ServerFinding {
  readonly hostId: number;
  readonly hostName: string;
  readonly state: AlertState;
  readonly text: string;
}

/** What a definition of type SERVER finds, and that in one sentence. */
export interface ServerFindings {
  readonly findings: readonly ServerFinding[];
  readonly state: AlertState;
  readonly text: string;
}

type FindOut = (db: Knex, known: KnownDefinition, now: number) => Promise<ServerFindings>;

/** By the last part of Ambari's class names. */
const classes: Readonly<Record<string, FindOut>> = {
  AgentHeartbeatAlertRunnable: findHeartbeats,
  StaleAlertRunnable: findStale,
  AmbariPerformanceRunnable: findPerformance,
};

/** Finds a SERVER alert out. A class of Ambari's that there is nothing like in Howdah is UNKNOWN, and says so. */
export function evaluateServerAlert(
  db: Knex,
  known: KnownDefinition,
  now: number,
): Promise<ServerFindings> {
  const { sourceJson, sourceType } = known.definition;
  const read = readSource(sourceJson, sourceType);
  const name = `${("source" in read ? read.source.class : undefined) ?? ""}`;
  const last = name.slice(name.lastIndexOf(".") + 1);
  const findOut = Object.hasOwn(classes, last) ? classes[last] : undefined;
  if (findOut !== undefined) return findOut(db, known, now);
  return Promise.resolve(ofCluster(AlertState.UNKNOWN, `Howdah has no alert of class ${name}`));
}

function ofCluster(state: AlertState, text: string): ServerFindings {
  return { findings: [{ hostId: 0, hostName: "", state, text }], state, text };
}

async function findHeartbeats(db: Knex, { clusterId }: KnownDefinition): Promise<ServerFindings> {
  const hosts = await readHeartbeats(db, clusterId);
  const findings = hosts.map(({ hostId, hostName, lostAt }) =>
    lostAt === undefined
      ? { hostId, hostName, state: AlertState.OK, text: "Its agent is heard from" }
      : {
          ...{ hostId, hostName, state: AlertState.CRITICAL },
          text: `Nothing is heard from its agent since ${new Date(lostAt).toISOString()}`,
        },
  );
  const lost = findings.filter(({ state }) => state === AlertState.CRITICAL);
  return lost.length === 0
    ? { findings, state: AlertState.OK, text: `All ${hosts.length} agents are heard from` }
    : {
        ...{ findings, state: AlertState.CRITICAL },
        text: `${lost.length} of ${hosts.length} hosts are lost: ${listed(lost.map(({ hostName }) => hostName))}`,
      };
}

/** Agents tell what they have not checked for twice its interval. */
const toldAfter = 2;

async function findStale(
  db: Knex,
  { clusterId, definition }: KnownDefinition,
  now: number,
): Promise<ServerFindings> {
  const multiplier = Math.max(parameter(definition, "stale.interval.multiplier", 2), toldAfter);
  const stale = (await listStaleAlerts(db, clusterId)).filter(
    ({ since, intervalMinutes }) =>
      now - since >= (multiplier - toldAfter) * intervalMinutes * 60_000,
  );
  if (stale.length === 0) return ofCluster(AlertState.OK, "All alerts are checked in time");
  const byName = new Map<string, string[]>();
  for (const { name, hostName } of stale) byName.set(name, [...(byName.get(name) ?? []), hostName]);
  const each = [...byName].map(([name, hosts]) => `${name} on ${listed(hosts)}`);
  const hosts = new Set(stale.map(({ hostName }) => hostName)).size;
  return ofCluster(
    AlertState.CRITICAL,
    `${stale.length} alerts of ${hosts} hosts have not been checked for ${multiplier} times their interval: ${each.join("; ")}`,
  );
}

async function findPerformance(
  db: Knex,
  { clusterId, definition }: KnownDefinition,
): Promise<ServerFindings> {
  const took: { state: AlertState; text: string }[] = [];
  const measure = async <T>(
    what: string,
    prefix: string,
    [warning, critical]: readonly [number, number],
    work: () => Promise<T>,
  ): Promise<T> => {
    const began = performance.now();
    const result = await work();
    const ms = Math.round(performance.now() - began);
    const threshold = (name: string, otherwise: number) =>
      parameter(definition, `${prefix}.${name}.threshold`, otherwise);
    const state =
      ms >= threshold("critical", critical)
        ? AlertState.CRITICAL
        : ms >= threshold("warning", warning)
          ? AlertState.WARNING
          : AlertState.OK;
    took.push({ state, text: `${what} took ${ms} ms` });
    return result;
  };
  const requests = await measure("listing requests", "request.by.status", [3_000, 5_000], () =>
    listRequests(db, { limit: 20, below: 0, unfinishedOnly: false }),
  );
  await measure("counting their tasks", "task.status.aggregation", [3_000, 5_000], () =>
    readRequestCounts(
      db,
      requests.map(({ requestId }) => requestId),
    ),
  );
  await measure("reading the cluster", "rest.api.cluster", [5_000, 7_000], async () => {
    const cluster = (await listClusters(db)).find((each) => each.clusterId === clusterId);
    return cluster && readCluster(db, cluster.name);
  });
  const worst = [AlertState.CRITICAL, AlertState.WARNING].find((state) =>
    took.some((each) => each.state === state),
  );
  return ofCluster(worst ?? AlertState.OK, took.map(({ text }) => text).join(", "));
}

/** The value of a parameter of a definition's source, a number. */
function parameter(definition: AlertDefinition, name: string, otherwise: number): number {
  const read = readSource(definition.sourceJson, definition.sourceType);
  const parameters = "source" in read ? read.source.parameters : undefined;
  if (!Array.isArray(parameters)) return otherwise;
  const all = parameters as readonly { readonly name?: unknown; readonly value?: unknown }[];
  const text = `${all.find((each) => each?.name === name)?.value ?? ""}`.trim();
  const value = Number(text);
  return text !== "" && Number.isFinite(value) ? value : otherwise;
}
