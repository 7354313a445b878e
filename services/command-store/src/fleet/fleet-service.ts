import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import type { Knex } from "knex";
import { hostComponentCalls } from "../components/host-component-calls.js";
import { isConflict } from "../database/database-errors.js";
import { inSnapshot } from "../database/transaction.js";
import {
  listConfigurationTypes,
  listConfigurationVersions,
} from "../store/list-configuration-versions.js";
import { listMaintenance } from "../store/list-maintenance.js";
import { listClusterNames, listClusters, readCluster } from "../store/read-cluster.js";
import { readHost } from "../store/read-hosts.js";
import { applyCluster, ClusterProblemsError } from "./apply-cluster.js";
import type { StoredCluster } from "./cluster.js";
import { noCluster, onlyCluster } from "./find-cluster.js";
import {
  toBriefHost,
  toCluster,
  toClusterSummary,
  toConfigurationVersion,
  toHost,
  toInMaintenance,
} from "./fleet-messages.js";
import {
  checkApplyCluster,
  checkGetCluster,
  checkGetHost,
  checkListConfigurationVersions,
  checkListHosts,
  pageTokenAfter,
} from "./fleet-requests.js";
import { checkListMaintenance, maintenanceToken } from "./maintenance-requests.js";
import { selectHosts } from "./select-hosts.js";
import { setMaintenance } from "./set-maintenance.js";

const maxVersions = 100;
/** Well below the 4 MiB of a message. */
const maxVersionBytes = 2 << 20;

/** Hosts, clusters and configurations on this database. */
export function createFleetService(db: Knex): ServiceImpl<typeof FleetService> {
  return {
    async listHosts(request) {
      const page = checkListHosts(request);
      const { hosts, more } = await selectHosts(db, page);
      const last = hosts.at(-1);
      return {
        hosts: hosts.map(page.brief ? toBriefHost : toHost),
        nextPageToken: more && last !== undefined ? pageTokenAfter(last.host_name) : "",
      };
    },

    async getHost(request) {
      const hostName = checkGetHost(request);
      const row = await readHost(db, hostName);
      if (row === undefined) {
        throw new ConnectError(
          `there is no host ${hostName}: no agent has registered from it`,
          Code.NotFound,
        );
      }
      return { host: toHost(row) };
    },

    ...hostComponentCalls(db),
    async setMaintenance(request) {
      return { changes: await setMaintenance(db, request, Date.now()) };
    },

    async listMaintenance(request) {
      const { after, limit } = checkListMaintenance(request);
      const rows = await listMaintenance(db, after, limit);
      const last = rows.length === limit ? rows.at(-1) : undefined;
      return {
        entries: rows.map(toInMaintenance),
        nextPageToken: last === undefined ? "" : maintenanceToken(last),
      };
    },

    async applyCluster(request) {
      checkApplyCluster(request);
      try {
        const changes = await applyCluster(db, request);
        return { cluster: toCluster(await findCluster(db, request.name)), changes };
      } catch (error) {
        if (error instanceof ClusterProblemsError) {
          throw new ConnectError(error.message, Code.InvalidArgument);
        }
        if (isConflict(error)) {
          throw new ConnectError(
            `cluster ${request.name} is being changed by others at the same time; nothing was changed, try again`,
            Code.Aborted,
          );
        }
        throw error;
      }
    },

    async listClusters() {
      const clusters = await inSnapshot(db, (trx) => listClusters(trx));
      return { clusters: clusters.map(toClusterSummary) };
    },

    async getCluster(request) {
      checkGetCluster(request);
      const name = request.name || (await onlyCluster(db));
      return { cluster: toCluster(await findCluster(db, name, request.configurationTypes)) };
    },

    async listConfigurationVersions(request) {
      checkListConfigurationVersions(request);
      const { cluster, type } = request;
      const found = await listConfigurationVersions(db, cluster, type, maxVersions);
      if (found.length === 0) throw await noType(db, cluster, type);
      let bytes = 0;
      const versions = found.map(toConfigurationVersion).filter((version, index) => {
        bytes += JSON.stringify(version.properties).length;
        return index === 0 || bytes <= maxVersionBytes;
      });
      return { versions };
    },
  };
}

async function findCluster(
  db: Knex,
  name: string,
  types: readonly string[] = [],
): Promise<StoredCluster> {
  const cluster = await inSnapshot(db, (trx) => readCluster(trx, name, types));
  if (cluster !== undefined) return cluster;
  throw await noCluster(db, name);
}

async function noType(db: Knex, cluster: string, type: string): Promise<ConnectError> {
  const types = await listConfigurationTypes(db, cluster);
  if (types.length === 0 && !(await listClusterNames(db)).includes(cluster)) {
    return noCluster(db, cluster);
  }
  return new ConnectError(
    `cluster ${cluster} has no configuration type ${type}; it has ${types.join(", ") || "none"}`,
    Code.NotFound,
  );
}
