import type { StackDefinition } from "@howdah/proto/howdah/v1/stack";
import type { Knex } from "knex";
import { sha256Hex } from "../canonical-json.js";
import { inTransaction } from "../database/transaction.js";
import { putDocument } from "../store/put-package.js";
import { listClusters, readCluster } from "../store/read-cluster.js";
import { readStack } from "../store/read-stack.js";
import { advanceCluster, markClients } from "../store/write-cluster.js";
import { clientsOf } from "./clients-of.js";
import { metadataDocument } from "./cluster-documents.js";

/**
 * Gives the clusters of a stack the metadata of its stored definition, where it differs from what they have. Run after the
 * definition is committed; may be run again at any time.
 */
export async function refreshMetadata(db: Knex, stack: StackDefinition): Promise<void> {
  for (const { name } of await listClusters(db, stack)) {
    await inTransaction(db, (trx) => refreshCluster(trx, name));
  }
}

async function refreshCluster(trx: Knex.Transaction, name: string): Promise<void> {
  const cluster = await readCluster(trx, name);
  if (cluster === undefined) return;
  const { clusterId, version, stackName, stackVersion, digests } = cluster;
  // Read here and not handed in: of two pushes at once each must leave behind what is stored in the end.
  const stack = await readStack(trx, stackName, stackVersion);
  if (stack === undefined) return;
  await markClients(trx, clusterId, clientsOf(stack.definition));
  const text = metadataDocument(cluster, stack.definition);
  const metadata = sha256Hex(text);
  if (metadata === digests.metadata) return;
  await advanceCluster(trx, clusterId, version, stack.definition, { ...digests, metadata });
  await putDocument(trx, text);
}
