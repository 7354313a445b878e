import type { ListHostComponentsRequest } from "@howdah/proto/howdah/v1/fleet_service";
import { readSelector } from "../fleet/fleet-requests.js";
import type { HostFilter } from "../fleet/host-selector.js";
import { invalid } from "../invalid.js";
import type { ComponentPlace } from "../store/list-host-components.js";

const defaultPageSize = 1_000;
const maxPageSize = 10_000;

/** A checked ListHostComponents. */
export interface ComponentPage {
  readonly services: readonly string[];
  readonly components: readonly string[];
  readonly hosts: HostFilter;
  /** Hosts are told apart by their labels. */
  readonly byLabels: boolean;
  readonly restartRequiredOnly: boolean;
  readonly serversOnly: boolean;
  readonly size: number;
  /** The last component of the page before; undefined for the first page. */
  readonly after: ComponentPlace | undefined;
}

/** Throws INVALID_ARGUMENT for a selector that cannot be read, a page size out of range, a token that is none. */
export function checkListHostComponents(request: ListHostComponentsRequest): ComponentPage {
  const { services, components, hosts, restartRequiredOnly, serversOnly } = request;
  const { pageSize, pageToken } = request;
  if (pageSize < 0 || pageSize > maxPageSize) {
    throw invalid(
      "page_size",
      pageSize,
      `is not from 0 to ${maxPageSize}; 0 means ${defaultPageSize}`,
    );
  }
  return {
    services,
    components,
    hosts: readSelector(hosts, "hosts"),
    byLabels: Object.keys(hosts?.labels ?? {}).length > 0,
    ...{ restartRequiredOnly, serversOnly },
    size: pageSize || defaultPageSize,
    after: placeOf(pageToken),
  };
}

/** The token of the page that begins behind this component. */
export function tokenOf({ service, component, hostName }: ComponentPlace): string {
  return Buffer.from([service, component, hostName].join("/")).toString("base64url");
}

function placeOf(token: string): ComponentPlace | undefined {
  if (token === "") return undefined;
  const [service = "", component = "", hostName = ""] = Buffer.from(token, "base64url")
    .toString()
    .split("/");
  const place = { service, component, hostName };
  if (tokenOf(place) !== token) {
    throw invalid("page_token", token, "is none of ours; take it from the answer before");
  }
  return place;
}
