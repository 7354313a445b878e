import type { ApplyClusterRequest } from "@howdah/proto/howdah/v1/fleet_service";
import type { StackDefinition } from "@howdah/proto/howdah/v1/stack";
import type { Knex } from "knex";
import { planAlerts, writeAlerts } from "../alerts/write-cluster-alerts.js";
import type { Database, Transaction } from "../database/together.js";
import { inTransaction } from "../database/transaction.js";
import { putDocument } from "../store/put-package.js";
import { readCluster } from "../store/read-cluster.js";
import { readClusterHosts } from "../store/read-cluster-hosts.js";
import { listStacks, readStack, readStackDigest, type StoredStack } from "../store/read-stack.js";
import { advanceCluster, insertCluster, writeClusterParts } from "../store/write-cluster.js";
import type { ClusterContent, ClusterHost, DocumentDigests, StoredCluster } from "./cluster.js";
import { checkServices, placementsOf } from "./cluster-check.js";
import { effectiveConfigurations } from "./cluster-configuration.js";
import {
  configurationsDocument,
  digestsOf,
  metadataDocument,
  topologyDocument,
} from "./cluster-documents.js";
import { describePlan, planCluster } from "./cluster-plan.js";
import { componentMarks } from "./component-marks.js";

/** Thrown when a cluster cannot be as it was asked for; the message lists every problem, `; ` between them. */
export class ClusterProblemsError extends Error {
  override readonly name = "ClusterProblemsError";

  constructor(readonly problems: readonly string[]) {
    super(joined(problems));
  }
}

/** An error's message travels in a header: what does not fit is counted. */
const maxMessageLength = 4_000;

function joined(problems: readonly string[]): string {
  let message = "";
  for (const [index, problem] of problems.entries()) {
    const next = index === 0 ? problem : `${message}; ${problem}`;
    if (index > 0 && next.length > maxMessageLength) {
      return `${message}; and ${problems.length - index} more problems`;
    }
    message = next;
  }
  return message;
}

/**
 * Makes a cluster what the request, already checked for its form, says. Returns a sentence for each change.
 * Runs again when somebody else changed the cluster meanwhile. Throws {@link ClusterProblemsError}; nothing is changed then.
 */
export async function applyCluster(db: Knex, request: ApplyClusterRequest): Promise<string[]> {
  const changes: string[] = [];
  for (;;) {
    const applied = await inTransaction(db, (trx) => applyOnce(trx, request));
    changes.push(...applied.changes);
    // A stack that is pushed refreshes the clusters it then sees. One whose first commit came too late to be seen sees, here, the
    // pushed stack, and follows it: one of the two always looks after the other's commit.
    const { definition, digest } = applied.stack;
    const now = await readStackDigest(db, definition.name, definition.version);
    if (now === digest) return changes;
  }
}

async function applyOnce(
  trx: Transaction,
  request: ApplyClusterRequest,
): Promise<{ stack: StoredStack; changes: string[] }> {
  const [stackName = "", stackVersion = ""] = request.stack.split("/");
  const stack = await readStack(trx, stackName, stackVersion);
  if (stack === undefined) throw await unknownStack(trx, request.stack);
  const { definition } = stack;
  const current = await readCluster(trx, request.name);
  const placements = placementsOf(request.services);
  const hosts = await readClusterHosts(trx, [
    ...new Set(placements.flatMap((placement) => placement.hostNames)),
  ]);
  const next = makeContent(request, definition, current, hosts);
  const plan = planCluster(current, next);
  const custom = (type: string) => !hasType(definition, type);
  const changes = describePlan(current, next, plan, custom);

  const clusterId = current?.clusterId ?? (await insertCluster(trx, next));
  const documents = {
    configurations: configurationsDocument(next),
    topology: topologyDocument(next, clusterId, hosts),
    metadata: metadataDocument(next, definition),
  };
  const digests = digestsOf(documents);
  const alerts = await planAlerts(trx, current?.clusterId, next, definition);
  // Racks, addresses and the stack's services may have changed while the cluster as such did not.
  if (changes.length === 0 && current !== undefined) {
    changes.push(...renewed(current.digests, digests));
    if (alerts.changed) changes.push("renew the alerts that agents watch");
    if (changes.length === 0) return { stack, changes };
  }
  // First the row that all writers of the cluster meet at, so that the loser does no work for nothing.
  await advanceCluster(trx, clusterId, current?.version ?? 0, definition, digests);
  const marks = componentMarks(definition, next.placements);
  await writeClusterParts(trx, clusterId, plan, hosts, marks);
  await writeAlerts(trx, clusterId, alerts, [
    ...new Set(plan.taken.flatMap(({ hostNames }) => hostNames)),
  ]);
  for (const text of Object.values(documents)) await putDocument(trx, text);
  return { stack, changes };
}

function makeContent(
  request: ApplyClusterRequest,
  stack: StackDefinition,
  current: StoredCluster | undefined,
  hosts: readonly ClusterHost[],
): ClusterContent {
  const known = new Set(hosts.map((host) => host.hostName));
  const services = request.services.map((service) => service.name).sort();
  const { configurations, problems } = effectiveConfigurations(
    stack,
    new Set(services),
    request.configurations,
    current?.configurations ?? new Map(),
  );
  const all = [...checkServices(stack, request.services, (name) => known.has(name)), ...problems];
  if (all.length > 0) throw new ClusterProblemsError(all);
  return {
    name: request.name,
    stackName: stack.name,
    stackVersion: stack.version,
    services,
    placements: placementsOf(request.services),
    configurations,
  };
}

function renewed(before: DocumentDigests, after: DocumentDigests): string[] {
  const names = ["configurations", "topology", "metadata"] as const;
  return names
    .filter((name) => before[name] !== after[name])
    .map((name) => `renew the ${name} that scripts see`);
}

function hasType(stack: StackDefinition, type: string): boolean {
  return [stack, ...stack.services].some((part) =>
    part.configurationTypes.some((each) => each.name === type),
  );
}

async function unknownStack(db: Database, stack: string): Promise<ClusterProblemsError> {
  const there = (await listStacks(db)).map((each) => `${each.name}/${each.version}`);
  const problem =
    there.length === 0
      ? `stack: there is no ${stack}, and no other; push one first`
      : `stack: there is no ${stack}; there are ${there.join(", ")}; push it first or choose one of them`;
  return new ClusterProblemsError([problem]);
}
