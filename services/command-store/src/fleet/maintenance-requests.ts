import type {
  ListMaintenanceRequest,
  SetMaintenanceRequest,
} from "@howdah/proto/howdah/v1/fleet_service";
import type { HostSelector } from "@howdah/proto/howdah/v1/operation";
import { invalidArgument } from "../invalid.js";
import type { MaintenanceKey } from "../store/list-maintenance.js";
import { readSelector } from "./fleet-requests.js";
import type { HostFilter } from "./host-selector.js";

const maxReason = 255;
const defaultPageSize = 1_000;
const maxPageSize = 10_000;

/** A checked SetMaintenance. */
export type CheckedMaintenance = {
  readonly on: boolean;
  readonly reason: string;
} & (
  | { readonly kind: "hosts"; readonly filter: HostFilter; readonly shown: string }
  | { readonly kind: "service"; readonly cluster: string; readonly service: string }
  | {
      readonly kind: "components";
      readonly cluster: string;
      /** Empty for whichever has them. */
      readonly service: string;
      readonly components: readonly string[];
      /** Undefined for all hosts. */
      readonly filter: HostFilter | undefined;
      readonly shown: string;
    }
);

/** Checks what needs no database: INVALID_ARGUMENT unless it names hosts, or a service, or components. */
export function checkSetMaintenance(request: SetMaintenanceRequest): CheckedMaintenance {
  const { hosts, cluster, service, on } = request;
  const reason = request.reason.trim();
  const components = [...new Set(request.components)];
  if (reason.length > maxReason) {
    throw invalidArgument(
      `reason: has ${reason.length} characters; at most ${maxReason} are allowed`,
    );
  }
  const common = { on, reason };
  const filter = hosts === undefined || isEmpty(hosts) ? undefined : readSelector(hosts, "hosts");
  const shown = hosts === undefined ? "" : describe(hosts);
  if (components.length > 0) {
    if (components.includes("")) throw invalidArgument("components: has an empty name");
    return { ...common, kind: "components", cluster, service, components, filter, shown };
  }
  if (service !== "") {
    if (filter === undefined) return { ...common, kind: "service", cluster, service };
    throw invalidArgument(
      `hosts: a service is in maintenance on all its hosts; name its components, or the hosts alone`,
    );
  }
  if (filter === undefined) {
    throw invalidArgument("hosts: is empty; name hosts, `*` for all, or a service, or components");
  }
  if (cluster !== "") {
    throw invalidArgument(
      `cluster: hosts are in maintenance for all clusters; leave ${cluster} out`,
    );
  }
  return { ...common, kind: "hosts", filter, shown };
}

function isEmpty({ names, labels }: HostSelector): boolean {
  return names.length === 0 && Object.keys(labels).length === 0;
}

function describe({ names, labels }: HostSelector): string {
  const pairs = Object.entries(labels).map(([key, value]) =>
    value === "" ? key : `${key}=${value}`,
  );
  return [...names, ...pairs].join(", ");
}

/** Checks a page of what is in maintenance. */
export function checkListMaintenance({ pageSize, pageToken }: ListMaintenanceRequest): {
  limit: number;
  after: MaintenanceKey;
} {
  if (pageSize < 0 || pageSize > maxPageSize) {
    throw invalidArgument(
      `page_size: ${pageSize} is not from 0 to ${maxPageSize}; 0 means ${defaultPageSize}`,
    );
  }
  const limit = pageSize || defaultPageSize;
  if (pageToken === "") {
    return { limit, after: { clusterId: 0, serviceName: "", componentName: "", hostId: 0 } };
  }
  const parts = Buffer.from(pageToken, "base64url").toString().split("\n");
  const [clusterId = "", serviceName = "", componentName = "", hostId = ""] = parts;
  const after = {
    ...{ clusterId: Number(clusterId), hostId: Number(hostId) },
    ...{ serviceName, componentName },
  };
  if (maintenanceToken(after) !== pageToken) {
    throw invalidArgument(
      `page_token: ${pageToken} is not a token of this method; leave it empty for the first page`,
    );
  }
  return { limit, after };
}

/** The token of the page that begins behind this. */
export function maintenanceToken(key: MaintenanceKey): string {
  const { clusterId, serviceName, componentName, hostId } = key;
  const parts = [clusterId, serviceName, componentName, hostId];
  return Buffer.from(parts.join("\n")).toString("base64url");
}
