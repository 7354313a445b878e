import type { HostAlertResults, RecordAlertsRequest } from "@howdah/proto/howdah/v1/store_alerts";
import type { Knex } from "knex";
import { inTransaction } from "../database/transaction.js";
import { invalid } from "../invalid.js";
import {
  type KnownDefinition,
  readKnownDefinitions,
  readReporters,
  readWatches,
} from "../store/alert-watchers.js";
import { writeStaleAlerts } from "../store/stale-alerts.js";
import { isRunByAgents } from "./plan-definitions.js";
import { type Finding, recordFindings } from "./record-findings.js";

const maxResults = 10_000;
/** Agents keep what they could not tell for seven days; a greater age is a clock gone wrong. */
const oldestMs = 7 * 86_400_000;

/** Checks a batch of agents' results as a whole. */
export function checkRecordAlerts({ hosts }: RecordAlertsRequest): void {
  const count = hosts.reduce((sum, { results }) => sum + results.length, 0);
  if (count > maxResults) {
    throw invalid("hosts.results", count, `are too many; send at most ${maxResults} a call`);
  }
}

/**
 * Records what agents' alerts found. Gives how many alerts changed their state. What came on another session than its host's open one is
 * dropped, and so is what the host does not watch: it would be told of a component that is gone.
 */
export function recordAlerts(
  db: Knex,
  hosts: readonly HostAlertResults[],
  now: number,
): Promise<number> {
  return inTransaction(db, async (trx) => {
    const reporters = await readReporters(
      trx,
      hosts.map(({ session }) => ({
        hostId: Number(session?.hostId ?? 0n),
        sessionEpoch: Number(session?.sessionEpoch ?? 0n),
      })),
    );
    const told = hosts.flatMap((host) => {
      const hostId = Number(host.session?.hostId ?? 0n);
      const hostName = reporters.get(hostId);
      return hostName === undefined ? [] : [{ ...host, hostId, hostName }];
    });
    if (told.length === 0) return 0;
    const ids = new Set(
      told.flatMap(({ results, staleDefinitionIds }) =>
        [...results.map(({ definitionId }) => definitionId), ...staleDefinitionIds].map(Number),
      ),
    );
    const known = await readKnownDefinitions(trx, [...ids]);
    const hostIds = [...new Set(told.map(({ hostId }) => hostId))];
    const watches = await readWatches(trx, ids.size === 0 ? [] : hostIds);
    const watched = (hostId: number, definitionId: bigint): KnownDefinition | undefined => {
      const found = known.get(Number(definitionId));
      if (found === undefined || !isRunByAgents(found.definition)) return undefined;
      return watches(hostId, found) ? found : undefined;
    };

    const findings = told.flatMap(({ hostId, hostName, results }) =>
      results.flatMap(({ clusterId, definitionId, state, text, ageMs }): Finding[] => {
        const found = watched(hostId, definitionId);
        if (found === undefined || found.clusterId !== Number(clusterId)) return [];
        const at = now - Math.min(Math.max(Number(ageMs), 0), oldestMs);
        const one = found.definition.ignoreHost
          ? { hostId: 0, hostName: "" }
          : { hostId, hostName };
        return [{ known: found, ...one, state, text, at }];
      }),
    );
    const stale = told.flatMap(({ hostId, staleDefinitionIds }) =>
      staleDefinitionIds
        .filter((id) => watched(hostId, id) !== undefined)
        .map((id) => ({ hostId, definitionId: Number(id) })),
    );
    const changed = await recordFindings(trx, findings, "written");
    await writeStaleAlerts(trx, hostIds, stale, now);
    return changed;
  });
}
