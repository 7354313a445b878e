import { create } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import {
  type AlertDefinition,
  AlertSourceType,
  type AlertState,
} from "@howdah/proto/howdah/v1/alert";
import {
  type AlertService,
  type RunAlertRequest,
  type RunAlertResponse,
  RunAlertResponseSchema,
} from "@howdah/proto/howdah/v1/alert_service";
import type { Cluster, Host } from "@howdah/proto/howdah/v1/fleet";
import type { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import { HostSelectorSchema } from "@howdah/proto/howdah/v1/operation";
import type { AlertTargets } from "@howdah/proto/howdah/v1/store_alerts";
import { invalidArgument } from "../invalid-argument.js";
import { shorten } from "../planner/operation.js";
import { listHosts, plainNames, selectHosts } from "../select-hosts.js";
import type { AlertWatch } from "./alert-watch.js";
import { together } from "./together.js";

/** Where running alerts reads from. */
export interface RunAlertSources {
  readonly alerts: Pick<Client<typeof AlertService>, "listAlertDefinitions">;
  readonly fleet: Client<typeof FleetService>;
  /** How long the agents have for their answers. Default 120,000. */
  readonly timeoutMs?: number;
}

/** How many hosts one call of a dispatcher may name. */
const maxHosts = 10_000;
/** The component of alerts that every host of the cluster watches. */
const onAllHosts = "AMBARI_AGENT";
const ofServer = new Set([AlertSourceType.AGGREGATE, AlertSourceType.SERVER]);

/**
 * Runs an alert now and tells what was found, as it comes. An empty cluster means the only one.
 * @throws ConnectError NOT_FOUND for a cluster or an alert that is not there, FAILED_PRECONDITION for one that is switched off,
 * INVALID_ARGUMENT for hosts that do not watch it
 */
export async function* runAlert(
  sources: RunAlertSources,
  watch: AlertWatch,
  request: RunAlertRequest,
  signal: AbortSignal,
): AsyncGenerator<RunAlertResponse> {
  const { cluster, name, hostNames } = request;
  if (name === "") throw invalidArgument("name", "is empty");
  const { definitions } = await sources.alerts.listAlertDefinitions({ cluster, name }, { signal });
  const definition = definitions.find((one) => one.name === name);
  if (definition === undefined) {
    throw new ConnectError(
      `${clusterWords(cluster)} has no alert ${name}; howdah alerts --definitions lists them`,
      Code.NotFound,
    );
  }
  if (!definition.enabled) {
    throw new ConnectError(
      `alert ${name} is switched off; howdah alert set ${name} --on switches it on`,
      Code.FailedPrecondition,
    );
  }
  if (!ofServer.has(definition.sourceType)) {
    yield* runOnHosts(sources, watch, request, definition, signal);
    return;
  }
  if (hostNames.length > 0) {
    throw invalidArgument("host_names", `the server finds out ${name}, not hosts; leave them out`);
  }
  const { results } = await watch.evaluate([definition.definitionId], signal);
  const result = results.find((one) => one.definitionId === definition.definitionId);
  const { state, text } = result ?? { text: "the server did not find it out" };
  yield create(RunAlertResponseSchema, { ...(state && { state }), text });
}

async function* runOnHosts(
  { fleet, timeoutMs = 120_000 }: RunAlertSources,
  watch: AlertWatch,
  { cluster, name, hostNames }: RunAlertRequest,
  definition: AlertDefinition,
  signal: AbortSignal,
): AsyncGenerator<RunAlertResponse> {
  const [{ cluster: found }] = await Promise.all([
    fleet.getCluster({ name: cluster }, { signal }),
    watch.refresh(signal),
  ]);
  const targets = watch.clusterOf(found?.clusterId ?? 0n);
  if (found === undefined || targets?.alerts === undefined) {
    throw new ConnectError(
      `${clusterWords(cluster)} has just gone or come: try again`,
      Code.Aborted,
    );
  }
  const hosts = await chosen(fleet, hostNames, watching(definition, found, targets), name, signal);
  const names = new Map(hosts.map(({ hostId, hostName }) => [hostId, hostName]));
  const answer = (hostId: bigint, more: { state?: AlertState; text: string }) =>
    create(RunAlertResponseSchema, { hostName: names.get(hostId) ?? String(hostId), ...more });

  const byDispatcher = new Map<string, bigint[]>();
  for (const hostId of names.keys()) {
    const dispatcher = watch.places.of(hostId)?.dispatcher;
    if (dispatcher === undefined) {
      yield answer(hostId, { text: "it is not connected" });
      continue;
    }
    const list = byDispatcher.get(dispatcher);
    if (list === undefined) byDispatcher.set(dispatcher, [hostId]);
    else list.push(hostId);
  }
  const asked = { cluster: targets.alerts, name, timeoutMs: BigInt(timeoutMs) };
  yield* together(
    [...byDispatcher].flatMap(([dispatcher, all]) =>
      portions(all).map(
        (hostIds) =>
          async function* (over: AbortSignal) {
            const open = new Set(hostIds);
            try {
              for await (const each of watch.execute(dispatcher, { ...asked, hostIds }, over)) {
                open.delete(each.hostId);
                const { state, text } = each.result ?? { text: each.reason };
                yield answer(each.hostId, { ...(state && { state }), text });
              }
            } catch (error) {
              over.throwIfAborted();
              const { rawMessage } = ConnectError.from(error);
              const text = `its dispatcher could not be asked: ${rawMessage}`;
              for (const hostId of open) yield answer(hostId, { text });
            }
          },
      ),
    ),
    signal,
  );
}

function clusterWords(name: string): string {
  return name === "" ? "the cluster" : `cluster ${name}`;
}

/** Whether a host watches an alert. */
function watching(
  { serviceName, componentName }: AlertDefinition,
  { services }: Cluster,
  { alerts, hostIds }: AlertTargets,
): (host: Host) => boolean {
  if (componentName === onAllHosts) {
    const ids = new Set(hostIds);
    return ({ hostId }) => ids.has(hostId);
  }
  const masters = new Set(alerts?.masterComponents);
  const components = services
    .filter((service) => service.name === serviceName)
    .flatMap((service) => service.components)
    .filter(({ name }) => (componentName === "" ? masters.has(name) : name === componentName));
  const names = new Set(components.flatMap((component) => component.hostNames));
  return ({ hostName }) => names.has(hostName);
}

/** The hosts that watch it, of those that are named; all of them when none is. */
async function chosen(
  fleet: Client<typeof FleetService>,
  names: string[],
  isWatching: (host: Host) => boolean,
  alert: string,
  signal: AbortSignal,
): Promise<Host[]> {
  const isLimited = names.length > 0;
  const selector = create(HostSelectorSchema, { names });
  const hosts = await (isLimited
    ? selectHosts(fleet, selector, "host_names", signal)
    : listHosts(fleet, undefined, signal));
  const plain = plainNames(selector);
  const idle = hosts.filter((host) => plain.has(host.hostName) && !isWatching(host));
  if (idle.length > 0) {
    const text = `not watched there: ${alert} on ${shorten(idle.map((host) => host.hostName))}`;
    throw invalidArgument("host_names", text);
  }
  const found = hosts.filter(isWatching);
  if (found.length > 0) return found;
  if (isLimited) throw invalidArgument("host_names", `none of them watches ${alert}`);
  throw new ConnectError(`no host watches alert ${alert}`, Code.FailedPrecondition);
}

function portions(hostIds: bigint[]): bigint[][] {
  const parts: bigint[][] = [];
  for (let from = 0; from < hostIds.length; from += maxHosts) {
    parts.push(hostIds.slice(from, from + maxHosts));
  }
  return parts;
}
