import type { Client } from "@connectrpc/connect";
import type { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import type { HostSelector } from "@howdah/proto/howdah/v1/operation";
import type { ComponentStates, ComponentWord } from "./planner/component-states.js";
import { placeOf } from "./planner/maintenance.js";

const pageSize = 10_000;

/** Which components an operation is about. */
export interface ComponentsAsked {
  /** Empty when there is only one. */
  readonly cluster: string;
  /** None means all. */
  readonly services: readonly string[];
  /** None means all. */
  readonly components: readonly string[];
  readonly hosts?: HostSelector | undefined;
  /** It is about no clients, of which each host has many: their states are not needed. Default false. */
  readonly serversOnly?: boolean;
}

/** Reads the last word about the components that an operation is about, 10,000 of them a call. */
export async function readComponentStates(
  fleet: Client<typeof FleetService>,
  { cluster, services, components, hosts, serversOnly = false }: ComponentsAsked,
  signal: AbortSignal,
): Promise<ComponentStates> {
  const states = new Map<string, ComponentWord>();
  const asked = {
    ...{ cluster, services: [...services], components: [...components] },
    ...{ pageSize, serversOnly },
    ...(hosts && { hosts }),
  };
  let pageToken = "";
  do {
    const page = await fleet.listHostComponents({ ...asked, pageToken }, { signal });
    for (const each of page.hostComponents) {
      const { componentName, hostName, restartRequired, client } = each;
      const { currentState: current, desiredState: desired } = each;
      states.set(placeOf(componentName, hostName), { current, desired, restartRequired, client });
    }
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return states;
}
