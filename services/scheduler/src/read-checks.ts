import { create } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { type StatusCheck, StatusCheckSchema } from "@howdah/proto/howdah/v1/command";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import type { StackDefinition } from "@howdah/proto/howdah/v1/stack";
import type { CheckedComponent } from "@howdah/proto/howdah/v1/store_components";
import type { Logger } from "pino";
import type { ChecksOfHosts } from "./check-batches.js";
import { statusSpec } from "./planner/command-spec.js";
import type { StackCache } from "./stack-cache.js";

/** Where checks are read from. */
export interface CheckSources {
  readonly store: Pick<Client<typeof CommandStoreService>, "listStatusChecks">;
  readonly fleet: Pick<Client<typeof FleetService>, "getCluster">;
  readonly stacks: Pick<StackCache, "digests" | "get">;
  readonly log: Logger;
}

/**
 * Makes what reads which components are to be checked where, and how. Asks the store twice, and again for what has changed since it was
 * last asked: clusters and stacks. A component that its stack does not know any more, or that has no script, is left out.
 */
export function createCheckReader({
  store,
  fleet,
  stacks,
  log,
}: CheckSources): (signal: AbortSignal) => Promise<ChecksOfHosts> {
  /** The names of the clusters' stacks, by their ids. */
  let known = new Map<bigint, { version: bigint; stack: string }>();
  /** What is left out and why, each said once. */
  let leftOut = new Set<string>();

  async function stackName(component: CheckedComponent, signal: AbortSignal): Promise<string> {
    const { clusterId, cluster: name, clusterVersion: version } = component;
    const before = known.get(clusterId);
    if (before?.version === version) return before.stack;
    const { cluster } = await fleet.getCluster({ name }, { signal });
    if (cluster?.clusterId !== clusterId) throw new ConnectError("it is gone", Code.NotFound);
    known.set(clusterId, { version, stack: cluster.stack });
    return cluster.stack;
  }

  /** The stacks of the components' clusters, by the clusters' ids; an Error where there is none any more. */
  async function readStacks(
    components: readonly CheckedComponent[],
    signal: AbortSignal,
  ): Promise<Map<bigint, StackDefinition | Error>> {
    const digests = await stacks.digests(signal);
    const found = new Map<bigint, StackDefinition | Error>();
    for (const component of components) {
      if (found.has(component.clusterId)) continue;
      try {
        const name = await stackName(component, signal);
        found.set(component.clusterId, await stacks.get(name, digests, signal));
      } catch (error) {
        const { code } = ConnectError.from(error);
        if (code !== Code.NotFound && code !== Code.FailedPrecondition) throw error;
        found.set(component.clusterId, error as Error);
      }
    }
    known = new Map([...known].filter(([clusterId]) => found.has(clusterId)));
    return found;
  }

  return async (signal) => {
    const { components } = await store.listStatusChecks({}, { signal });
    if (components.length === 0) return { checks: [], byHost: new Map() };
    const found = await readStacks(components, signal);
    const checks: StatusCheck[] = [];
    const byHost = new Map<bigint, number[]>();
    const out = new Set<string>();
    for (const component of components) {
      const made = checkOf(component, found.get(component.clusterId));
      if (typeof made === "string") {
        if (!leftOut.has(made)) log.warn(made);
        out.add(made);
        continue;
      }
      for (const host of component.hostIds) {
        const list = byHost.get(host);
        if (list === undefined) byHost.set(host, [checks.length]);
        else list.push(checks.length);
      }
      checks.push(made);
    }
    leftOut = out;
    return { checks, byHost };
  };
}

/** How a component's status is checked; a text that says why it is not. */
function checkOf(
  component: CheckedComponent,
  stack: StackDefinition | Error | undefined,
): StatusCheck | string {
  const { clusterId, cluster, serviceName, componentName, recoveryEnabled } = component;
  const not = (why: string) => `the status of ${cluster}/${componentName} is not checked: ${why}`;
  if (stack === undefined || stack instanceof Error) {
    return not(ConnectError.from(stack).rawMessage);
  }
  const names = { id: clusterId, name: cluster };
  const made = statusSpec(names, stack, serviceName, componentName, recoveryEnabled);
  if (made === undefined) {
    return not(`${stack.name}/${stack.version} has no script for ${serviceName}/${componentName}`);
  }
  const { configurationsDigest, topologyDigest, metadataDigest } = component;
  const { desiredState, desiredRequestId } = component;
  return create(StatusCheckSchema, {
    ...{ componentName, spec: made.spec, configurationsDigest, topologyDigest, metadataDigest },
    ...(recoveryEnabled && {
      ...{ recoveryEnabled, desiredState, desiredRequestId },
      recoveryTimeoutMs: BigInt(made.recoveryTimeoutMs),
    }),
  });
}
