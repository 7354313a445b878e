import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type AlertChange,
  AlertChangeSchema,
  type AlertService,
} from "@howdah/proto/howdah/v1/alert_service";
import type { Knex } from "knex";
import { noCluster, onlyCluster } from "../fleet/find-cluster.js";
import { readAlertDefinitions } from "../store/alert-definitions.js";
import { type AlertChangeRow, listAlertHistory } from "../store/list-alert-history.js";
import { readClusterHeader } from "../store/read-cluster.js";
import { alertToken, checkListAlerts, checkListHistory } from "./alert-requests.js";
import { selectAlerts } from "./select-alerts.js";
import { checkUpdate, updateDefinition } from "./update-definition.js";

/** Alerts on this database: definitions, current state, history. An empty cluster means the only one. */
export function createAlertService(db: Knex): ServiceImpl<typeof AlertService> {
  const clusterOf = async (asked: string): Promise<number> => {
    const name = asked || (await onlyCluster(db));
    const header = await readClusterHeader(db, name);
    if (header === undefined) throw await noCluster(db, name);
    return header.clusterId;
  };
  return {
    async listAlertDefinitions({ cluster, serviceName: service, name }) {
      const found = await readAlertDefinitions(db, await clusterOf(cluster), { service, name });
      return { definitions: found.map(({ definition }) => definition) };
    },

    async updateAlertDefinition(request) {
      checkUpdate(request);
      const cluster = request.cluster || (await onlyCluster(db));
      return { definition: await updateDefinition(db, cluster, request) };
    },

    async listAlerts(request) {
      const page = checkListAlerts(request);
      const clusterId = await clusterOf(request.cluster);
      const { alerts, last, counts } = await selectAlerts(db, clusterId, request, page);
      return { alerts, nextPageToken: last === undefined ? "" : alertToken(last), counts };
    },

    async listAlertHistory(request) {
      const { limit, below } = checkListHistory(request);
      const filter = {
        clusterId: await clusterOf(request.cluster),
        name: request.name,
        hostName: request.hostName.toLowerCase(),
      };
      const rows = await listAlertHistory(db, filter, below, limit + 1);
      const shown = rows.slice(0, limit);
      return {
        changes: shown.map(toChange),
        nextPageToken: rows.length > limit ? `${shown.at(-1)?.alertId ?? ""}` : "",
      };
    },
  };
}

function toChange(row: AlertChangeRow): AlertChange {
  return create(AlertChangeSchema, {
    name: row.name,
    hostName: row.hostName,
    state: row.state,
    text: row.text,
    changedAt: timestampFromMs(row.changedAt),
    serviceName: row.service,
    componentName: row.component,
  });
}
