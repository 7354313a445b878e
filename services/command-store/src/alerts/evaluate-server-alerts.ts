import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type AlertResult,
  AlertResultSchema,
  AlertSourceType,
  type AlertState,
} from "@howdah/proto/howdah/v1/alert";
import type { EvaluateServerAlertsRequest } from "@howdah/proto/howdah/v1/store_alerts";
import type { Knex } from "knex";
import { checkId } from "../check-id.js";
import type { Transaction } from "../database/together.js";
import { inTransaction } from "../database/transaction.js";
import { invalid } from "../invalid.js";
import { readAlertDefinitions } from "../store/alert-definitions.js";
import { readAlertMaintenance } from "../store/alert-maintenance.js";
import { type KnownDefinition, readKnownDefinitions } from "../store/alert-watchers.js";
import {
  type DueAlerts,
  type Recount,
  readDueAlerts,
  takeDue,
  takeRecounts,
} from "../store/due-alerts.js";
import { listClusterVersions } from "../store/list-alert-targets.js";
import { hasNewerScheduler } from "../store/scheduler-fence.js";
import { childNameOf, evaluateAggregate } from "./count-children.js";
import { recordFindings } from "./record-findings.js";
import { evaluateServerAlert } from "./server-alerts.js";

const maxAsked = 1_000;

/** Checks a call. */
export function checkEvaluate({
  schedulerToken,
  definitionIds,
}: EvaluateServerAlertsRequest): void {
  checkId("scheduler_token", schedulerToken);
  if (definitionIds.length > maxAsked) {
    throw invalid("definition_ids", definitionIds.length, `are too many; send ${maxAsked} at most`);
  }
}

/** What an evaluation came to. */
export interface ServerAlerts extends Pick<DueAlerts, "clusters"> {
  readonly results: AlertResult[];
}

/**
 * Finds out the server's alerts that are due, and those that were asked for, and records what it found: nothing for an alert that is as it
 * was. Gives one result for each definition; of one about hosts the worst, and which. Throws FAILED_PRECONDITION for a token
 * that is not the newest. Tells the clusters' versions as they were before.
 */
export async function evaluateServerAlerts(
  db: Knex,
  { token, asked }: { readonly token: number; readonly asked: readonly number[] },
  now: number,
): Promise<ServerAlerts> {
  const due = await readDueAlerts(db, token, now);
  if (due.isStale) throw stale(token);
  const dueAt = new Map(due.definitions.map((each) => [each.definitionId, each.dueAt]));
  const results: AlertResult[] = [];
  const known = await readKnownDefinitions(db, [...new Set([...asked, ...dueAt.keys()])]);
  for (const each of known.values()) {
    if (each.definition.sourceType !== AlertSourceType.SERVER) continue;
    const found = await evaluateServer(db, each, dueAt.get(each.definitionId), token, now);
    if (found !== undefined) results.push(found);
  }
  const counted = [...known.values()].filter(
    ({ definition }) => definition.sourceType === AlertSourceType.AGGREGATE,
  );
  if (due.recounts.length > 0 || counted.length > 0) {
    results.push(...(await evaluateAggregates(db, due.recounts, counted, token, now)));
  }
  return { results, clusters: due.clusters };
}

function stale(token: number): ConnectError {
  return new ConnectError(
    `the scheduler's lease ${token} is over: another one has taken it`,
    Code.FailedPrecondition,
  );
}

/** Undefined when another call has just done it. */
async function evaluateServer(
  db: Knex,
  known: KnownDefinition,
  dueAt: number | undefined,
  token: number,
  now: number,
): Promise<AlertResult | undefined> {
  const { findings, state, text } = await evaluateServerAlert(db, known, now);
  return inTransaction(db, async (trx) => {
    // The definition may have been changed since.
    const fresh = (await readKnownDefinitions(trx, [known.definitionId])).get(known.definitionId);
    if (fresh?.definition.uuid !== known.definition.uuid) return undefined;
    const next = now + known.definition.intervalMinutes * 60_000;
    const { definitionId } = known;
    if (dueAt === undefined) {
      if (await hasNewerScheduler(trx, token)) throw stale(token);
    } else if (!(await takeDue(trx, { definitionId, dueAt }, next, token))) {
      if (await hasNewerScheduler(trx, token)) throw stale(token);
      return undefined;
    }
    await recordFindings(
      trx,
      findings.map((finding) => ({ known: fresh, ...finding, at: now })),
      "passed over",
    );
    return toResult(fresh, state, text);
  });
}

/** The aggregates that the marks concern, and these others, all counted in one transaction with the marks taken away. */
function evaluateAggregates(
  db: Knex,
  recounts: readonly Recount[],
  asked: readonly KnownDefinition[],
  token: number,
  now: number,
): Promise<AlertResult[]> {
  return inTransaction(db, async (trx) => {
    const taken = await takeRecounts(
      trx,
      recounts.map(({ recountId }) => recountId),
      token,
    );
    if (!taken || recounts.length === 0) {
      if (await hasNewerScheduler(trx, token)) throw stale(token);
      // Another call is at it.
      if (!taken) return [];
    }
    const results: AlertResult[] = [];
    const everywhere = recounts.some(({ clusterId }) => clusterId === 0);
    const named = [...recounts, ...asked].map(({ clusterId }) => clusterId);
    const clusterIds = everywhere ? [...(await listClusterVersions(trx)).keys()] : new Set(named);
    for (const clusterId of clusterIds) {
      const marks = recounts.filter((each) => each.clusterId === clusterId || each.clusterId === 0);
      const ids = new Set(asked.map(({ definitionId }) => definitionId));
      results.push(...(await evaluateCluster(trx, clusterId, marks, ids, now)));
    }
    return results;
  });
}

async function evaluateCluster(
  trx: Transaction,
  clusterId: number,
  marks: readonly Recount[],
  asked: ReadonlySet<number>,
  now: number,
): Promise<AlertResult[]> {
  const stored = (await readAlertDefinitions(trx, clusterId)).map(({ definition }) => definition);
  const byName = new Map(stored.filter(({ enabled }) => enabled).map((each) => [each.name, each]));
  const changed = new Set(marks.map(({ definitionId }) => definitionId));
  const concerned = [...byName.values()].filter((definition) => {
    const childName = childNameOf(definition);
    if (childName === undefined) return false;
    const child = stored.find(({ name }) => name === childName);
    return (
      changed.has(0) ||
      changed.has(Number(child?.definitionId ?? 0n)) ||
      asked.has(Number(definition.definitionId))
    );
  });
  if (concerned.length === 0) return [];
  const maintained = await readAlertMaintenance(trx, clusterId);
  const known = await readKnownDefinitions(
    trx,
    concerned.map(({ definitionId }) => Number(definitionId)),
  );
  const found: { known: KnownDefinition; state: AlertState; text: string }[] = [];
  for (const each of known.values()) {
    const child = byName.get(childNameOf(each.definition) ?? "");
    found.push({
      known: each,
      ...(await evaluateAggregate(trx, each.definition, child, maintained)),
    });
  }
  await recordFindings(
    trx,
    found.map((each) => ({ ...each, hostId: 0, hostName: "", at: now })),
    "passed over",
  );
  return found.map(({ known: each, state, text }) => toResult(each, state, text));
}

function toResult(known: KnownDefinition, state: AlertState, text: string): AlertResult {
  return create(AlertResultSchema, {
    clusterId: BigInt(known.clusterId),
    definitionId: BigInt(known.definitionId),
    state,
    text,
  });
}
