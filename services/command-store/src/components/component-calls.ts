import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import {
  type CheckedComponent,
  CheckedComponentSchema,
  type RecordComponentStatusesRequest,
} from "@howdah/proto/howdah/v1/store_components";
import type { Knex } from "knex";
import { invalid } from "../invalid.js";
import { type CheckedRow, listChecked } from "../store/list-status-checks.js";
import { recordStatuses } from "./record-statuses.js";

/** The most statuses of one call. */
const maxStatuses = 10_000;

/** The calls of the command store about the status of components. */
export function componentCalls(
  db: Knex,
): Pick<ServiceImpl<typeof CommandStoreService>, "recordComponentStatuses" | "listStatusChecks"> {
  return {
    async recordComponentStatuses(request) {
      check(request);
      const statuses = request.statuses.map((status) => ({
        hostId: Number(status.hostId),
        sessionEpoch: Number(status.sessionEpoch),
        clusterId: Number(status.clusterId),
        component: status.componentName,
        state: status.state,
      }));
      return { changed: await recordStatuses(db, statuses, Date.now()) };
    },

    async listStatusChecks() {
      return { components: (await listChecked(db)).map(toComponent) };
    },
  };
}

function check({ statuses }: RecordComponentStatusesRequest): void {
  if (statuses.length > maxStatuses) {
    throw invalid("statuses", statuses.length, `are too many; send at most ${maxStatuses} a call`);
  }
  for (const { state, componentName } of statuses) {
    if (state !== ComponentState.STARTED && state !== ComponentState.INSTALLED) {
      throw invalid(
        "statuses.state",
        `${ComponentState[state] ?? state} of ${componentName}`,
        "is no status; say STARTED or INSTALLED",
      );
    }
  }
}

function toComponent(row: CheckedRow): CheckedComponent {
  return create(CheckedComponentSchema, {
    clusterId: BigInt(row.clusterId),
    cluster: row.cluster,
    clusterVersion: BigInt(row.clusterVersion),
    serviceName: row.service,
    componentName: row.component,
    hostIds: row.hostIds.toSorted((a, b) => a - b).map(BigInt),
    configurationsDigest: row.configurations,
    topologyDigest: row.topology,
    metadataDigest: row.metadata,
    recoveryEnabled: row.autoStart,
    desiredState: row.desired,
    desiredRequestId: BigInt(row.desiredRequestId),
  });
}
