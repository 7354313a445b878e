import { HostState } from "@howdah/proto/howdah/v1/fleet";
import type {
  ApplyClusterRequest,
  GetClusterRequest,
  GetHostRequest,
  ListConfigurationVersionsRequest,
  ListHostsRequest,
} from "@howdah/proto/howdah/v1/fleet_service";
import type { HostSelector } from "@howdah/proto/howdah/v1/operation";
import { invalidArgument } from "../invalid.js";
import { compileHostSelector, type HostFilter, HostPatternError } from "./host-selector.js";

const defaultPageSize = 1_000;
const maxPageSize = 10_000;
const maxSelectorNames = 10_000;
/** Configuration types that may be named at once. */
const maxTypes = 100;

/** A checked ListHosts. */
export interface HostPage {
  readonly filter: HostFilter;
  readonly size: number;
  /** The name of the last host of the page before; empty for the first page. */
  readonly after: string;
  readonly brief: boolean;
  /** Only hosts in this state; undefined for all. */
  readonly state: string | undefined;
  /** Only hosts with a problem. */
  readonly withProblems: boolean;
}

/** Throws INVALID_ARGUMENT for a selector that cannot be read, a page size out of range, a token that is none. */
export function checkListHosts(request: ListHostsRequest): HostPage {
  const { selector, pageSize, pageToken, brief, state, withProblems } = request;
  if (pageSize < 0 || pageSize > maxPageSize) {
    throw invalidArgument(
      `page_size: ${pageSize} is not from 0 to ${maxPageSize}; 0 means ${defaultPageSize}`,
    );
  }
  const after = Buffer.from(pageToken, "base64url").toString();
  if (pageTokenAfter(after) !== pageToken) {
    throw invalidArgument(
      `page_token: ${pageToken} is not a token of this method; leave it empty for the first page`,
    );
  }
  if (HostState[state] === undefined) {
    throw invalidArgument(`state: ${state} is no state of a host; leave it out for all hosts`);
  }
  return {
    ...{
      filter: readSelector(selector, "selector"),
      size: pageSize || defaultPageSize,
      after,
      brief,
    },
    state: state === HostState.UNSPECIFIED ? undefined : HostState[state],
    withProblems,
  };
}

/** Throws INVALID_ARGUMENT when too many configuration types are named. */
export function checkGetCluster({ configurationTypes: types }: GetClusterRequest): void {
  if (types.length <= maxTypes) return;
  throw invalidArgument(
    `configuration_types: ${types.length} types, at most ${maxTypes}; name none for all`,
  );
}

/** The token of the page that begins behind this host. */
export function pageTokenAfter(hostName: string): string {
  return Buffer.from(hostName).toString("base64url");
}

/** Reads the selector of a field. Throws INVALID_ARGUMENT when it cannot be read. */
export function readSelector(selector: HostSelector | undefined, field: string): HostFilter {
  const count = selector?.names.length ?? 0;
  if (count > maxSelectorNames) {
    throw invalidArgument(
      `${field}.names: ${count} names, at most ${maxSelectorNames}; use patterns or labels`,
    );
  }
  try {
    return compileHostSelector(selector);
  } catch (error) {
    if (error instanceof HostPatternError)
      throw invalidArgument(`${field}.names: ${error.message}`);
    throw error;
  }
}

/** The name in lower case. Throws INVALID_ARGUMENT when there is none. */
export function checkGetHost(request: GetHostRequest): string {
  if (request.hostName === "")
    throw invalidArgument("host_name: is empty; give the name of a host");
  return request.hostName.toLowerCase();
}

/** The form of a cluster; whether it fits its stack is seen with the stack at hand. Throws INVALID_ARGUMENT. */
export function checkApplyCluster(request: ApplyClusterRequest): void {
  const { name, stack, configurations } = request;
  if (!/^[A-Za-z0-9_-]{1,80}$/.test(name)) {
    throw invalidArgument(`name: ${JSON.stringify(name)} must be 1 to 80 letters, digits, - and _`);
  }
  if (!/^[^/\s]+(\/[^/\s]+)?$/.test(stack)) {
    throw invalidArgument(
      `stack: ${JSON.stringify(stack)} must be NAME/VERSION, or NAME for the version pushed last`,
    );
  }
  for (const [type, { properties }] of Object.entries(configurations)) {
    if (!/^[A-Za-z0-9_.-]{1,255}$/.test(type)) {
      throw invalidArgument(
        `configurations: the type ${JSON.stringify(type)} must be 1 to 255 letters, digits, -, _ and .`,
      );
    }
    if (Object.hasOwn(properties, "")) {
      throw invalidArgument(`configurations[${type}].properties: a property has no name`);
    }
  }
}

/** Throws INVALID_ARGUMENT when a field is missing. */
export function checkListConfigurationVersions(request: ListConfigurationVersionsRequest): void {
  if (request.cluster === "")
    throw invalidArgument("cluster: is empty; give the name of a cluster");
  if (request.type === "") {
    throw invalidArgument("type: is empty; give a configuration type such as hdfs-site");
  }
}
