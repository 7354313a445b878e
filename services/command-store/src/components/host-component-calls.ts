import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { type HostComponent, HostComponentSchema } from "@howdah/proto/howdah/v1/fleet";
import type { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import type { Knex } from "knex";
import { noCluster, onlyCluster } from "../fleet/find-cluster.js";
import { toMaintenance } from "../fleet/fleet-messages.js";
import type { HostComponentRow } from "../store/list-host-components.js";
import { type ClusterHeader, readClusterHeader } from "../store/read-cluster.js";
import { readRecoveryEnabled } from "../store/read-recovery-enabled.js";
import { type ChangedTypes, createChangedTypes } from "./changed-types.js";
import { checkListHostComponents, tokenOf } from "./host-component-requests.js";
import { type ListedComponent, selectHostComponents } from "./select-host-components.js";

/** The calls of the fleet about components on hosts. */
export function hostComponentCalls(
  db: Knex,
): Pick<ServiceImpl<typeof FleetService>, "listHostComponents"> {
  const changedTypes = createChangedTypes();
  return {
    async listHostComponents(request) {
      const page = checkListHostComponents(request);
      const name = request.cluster || (await onlyCluster(db));
      const cluster = await readClusterHeader(db, name);
      if (cluster === undefined) throw await noCluster(db, name);
      const changes = await changesOf(db, changedTypes, cluster);
      const { listed, more } = await selectHostComponents(db, cluster, page, changes);
      const recovers =
        listed.some(({ autoStart }) => autoStart === 1) &&
        (await readRecoveryEnabled(db, cluster.clusterId));
      const last = listed.at(-1);
      return {
        hostComponents: listed.map((each) => toHostComponent(cluster.name, recovers, each)),
        nextPageToken: more && last !== undefined ? tokenOf(last) : "",
      };
    },
  };
}

/** Which types of its service's have changed since a component took its configurations. */
async function changesOf(
  db: Knex,
  changedTypes: ChangedTypes,
  { stackName, stackVersion, configurationsDigest }: ClusterHeader,
): Promise<(row: HostComponentRow) => Promise<readonly string[]>> {
  const dependencies = await changedTypes.dependencies(db, stackName, stackVersion);
  const found = new Map<string, readonly string[]>();
  return async ({ service, configurations }) => {
    if (configurations === "" || configurations === configurationsDigest) return [];
    const name = `${service}/${configurations}`;
    const known = found.get(name);
    if (known !== undefined) return known;
    const changed = await changedTypes.between(db, configurations, configurationsDigest);
    const own = changed.filter((type) => dependencies.get(service)?.has(type) ?? false);
    found.set(name, own);
    return own;
  };
}

function toHostComponent(
  cluster: string,
  recovers: boolean,
  listed: ListedComponent,
): HostComponent {
  const { maintenanceReason: reason, maintenanceSince: since } = listed;
  return create(HostComponentSchema, {
    cluster,
    serviceName: listed.service,
    componentName: listed.component,
    hostName: listed.hostName,
    desiredState: listed.desired,
    currentState: listed.current,
    restartRequired: listed.changedTypes.length > 0,
    changedTypes: [...listed.changedTypes],
    client: listed.client === 1,
    autoStart: recovers && listed.autoStart === 1,
    ...(reason !== null && since !== null ? { maintenance: toMaintenance({ reason, since }) } : {}),
    ...(listed.changedAt > 0 ? { changedAt: timestampFromMs(listed.changedAt) } : {}),
  });
}
