import { durationMs } from "@bufbuild/protobuf/wkt";
import type { AdHocOperation, RequestOptions } from "@howdah/proto/howdah/v1/operation";
import { lostHosts, type PlanningSources } from "./cluster-input.js";
import { invalidArgument } from "./invalid-argument.js";
import { hostsInMaintenance } from "./maintenance-input.js";
import { offlinePolicy } from "./plan-options.js";
import { cut, type PlannedRequest } from "./planned-request.js";
import { planAdHoc } from "./planner/plan-ad-hoc.js";
import { isEmpty, plainNames, selectHosts } from "./select-hosts.js";

/** Plans a command line on hosts. Errors as planRequest. */
export async function planCommandLine(
  { fleet }: PlanningSources,
  operation: AdHocOperation,
  options: RequestOptions | undefined,
  signal: AbortSignal,
): Promise<PlannedRequest> {
  const { hosts: selector, argv } = operation;
  if (selector === undefined || isEmpty(selector)) {
    throw invalidArgument("operation.ad_hoc.hosts", "is empty; name hosts, `*` for all, or labels");
  }
  const hosts = await selectHosts(fleet, selector, "operation.ad_hoc.hosts", signal);
  const timeout = options?.timeout ?? operation.timeout;
  const offlineHosts = offlinePolicy(options);
  const successFactor = options?.successFactors.RUN;
  const other = Object.keys(options?.successFactors ?? {}).find((role) => role !== "RUN");
  if (other !== undefined) {
    const why = "is no role of a command line, whose only role is RUN";
    throw invalidArgument(`options.success_factors.${other}`, why);
  }
  const plan = planAdHoc({
    argv: commandLine(argv),
    hosts: hosts.map((host) => host.hostName),
    hostStates: lostHosts(hosts),
    inMaintenance: hostsInMaintenance(hosts),
    namedHosts: plainNames(selector),
    ...(timeout && { timeoutMs: durationMs(timeout) }),
    ...(offlineHosts && { offlineHosts }),
    ...(successFactor !== undefined && { successFactor }),
  });
  return {
    plan,
    context: cut(`Run ${argv.join(" ")}`),
    clusterId: 0n,
    hostIds: new Map(hosts.map((host) => [host.hostName, host.hostId])),
    unchangedAre: "",
  };
}

/** A single word with blanks or shell characters is a line for the shell; anything else is run as it is. */
function commandLine(argv: readonly string[]): readonly string[] {
  const [line] = argv;
  const isLine = argv.length === 1 && line !== undefined && /[\s|&;<>()$`"'*?{}~#=]/.test(line);
  return isLine ? ["/bin/sh", "-c", line] : argv;
}
