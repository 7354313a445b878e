import { create, fromBinary } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { ClusterAlertsSchema } from "@howdah/proto/howdah/v1/alert";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { type AlertTargets, AlertTargetsSchema } from "@howdah/proto/howdah/v1/store_alerts";
import type { Knex } from "knex";
import { inSnapshot } from "../database/transaction.js";
import {
  type AlertTargetsRow,
  listClusterVersions,
  readAlertTargets,
} from "../store/list-alert-targets.js";
import { checkEvaluate, evaluateServerAlerts } from "./evaluate-server-alerts.js";
import { checkRecordAlerts, recordAlerts } from "./record-alerts.js";

/** The calls of the command store about alerts. */
export function alertCalls(
  db: Knex,
): Pick<
  ServiceImpl<typeof CommandStoreService>,
  "recordAlerts" | "listAlertTargets" | "evaluateServerAlerts"
> {
  return {
    async recordAlerts(request) {
      checkRecordAlerts(request);
      return { changed: await recordAlerts(db, request.hosts, Date.now()) };
    },

    async listAlertTargets({ knownVersions }) {
      const versions = await listClusterVersions(db);
      const changed = [...versions]
        .filter(([id, version]) => knownVersions[`${id}`] !== BigInt(version))
        .map(([id]) => id);
      const rows =
        changed.length === 0 ? [] : await inSnapshot(db, (trx) => readAlertTargets(trx, changed));
      return { changed: rows.map(toTargets), clusterIds: [...versions.keys()].map(BigInt) };
    },

    async evaluateServerAlerts(request) {
      checkEvaluate(request);
      const asked = request.definitionIds.map(Number);
      const token = Number(request.schedulerToken);
      const { results, clusters } = await evaluateServerAlerts(db, { token, asked }, Date.now());
      const versions = clusters.map(({ clusterId, version }) => [clusterId, BigInt(version)]);
      return { results, clusterVersions: Object.fromEntries(versions) };
    },
  };
}

function toTargets(row: AlertTargetsRow): AlertTargets {
  const alerts =
    row.targets === null
      ? create(ClusterAlertsSchema)
      : fromBinary(ClusterAlertsSchema, row.targets);
  alerts.clusterId = BigInt(row.clusterId);
  alerts.clusterName = row.name;
  alerts.definitionsDigest = row.definitions;
  alerts.configurationsDigest = row.configurations;
  alerts.topologyDigest = row.topology;
  alerts.metadataDigest = row.metadata;
  return create(AlertTargetsSchema, {
    version: BigInt(row.version),
    alerts,
    hostIds: row.hostIds.map(BigInt),
  });
}
