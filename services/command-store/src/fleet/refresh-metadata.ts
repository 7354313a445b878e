import type { StackDefinition } from "@howdah/proto/howdah/v1/stack";
import type { Knex } from "knex";
import { planAlerts, writeAlerts } from "../alerts/write-cluster-alerts.js";
import { sha256Hex } from "../canonical-json.js";
import type { Transaction } from "../database/together.js";
import { inTransaction } from "../database/transaction.js";
import { putDocument } from "../store/put-package.js";
import { listClusters, readCluster } from "../store/read-cluster.js";
import { readStack } from "../store/read-stack.js";
import { advanceCluster, markComponents } from "../store/write-cluster.js";
import { metadataDocument } from "./cluster-documents.js";
import { componentMarks } from "./component-marks.js";

/**
 * Gives the clusters of a stack the metadata and the alerts of its stored definition, where they differ from what they have. Run after the
 * definition is committed; may be run again at any time.
 */
export async function refreshMetadata(db: Knex, stack: StackDefinition): Promise<void> {
  for (const { name } of await listClusters(db, stack)) {
    await inTransaction(db, (trx) => refreshCluster(trx, name));
  }
}

async function refreshCluster(trx: Transaction, name: string): Promise<void> {
  const cluster = await readCluster(trx, name);
  if (cluster === undefined) return;
  const { clusterId, version, stackName, stackVersion, digests } = cluster;
  // Read here and not handed in: of two pushes at once each must leave behind what is stored in the end.
  const stack = await readStack(trx, stackName, stackVersion);
  if (stack === undefined) return;
  await markComponents(trx, clusterId, componentMarks(stack.definition, cluster.placements));
  const text = metadataDocument(cluster, stack.definition);
  const metadata = sha256Hex(text);
  const alerts = await planAlerts(trx, clusterId, cluster, stack.definition);
  if (metadata === digests.metadata && !alerts.changed) return;
  await advanceCluster(trx, clusterId, version, stack.definition, { ...digests, metadata });
  await writeAlerts(trx, clusterId, alerts, []);
  await putDocument(trx, text);
}
