import type { HostSelector, Operation } from "@howdah/proto/howdah/v1/operation";
import { oneLine, roleCommandWord } from "./words.js";

/** An operation in a few words: "RESTART HDFS of prod", "run `uptime` on web-*". */
export function operationWords(operation: Operation | undefined): string {
  switch (operation?.kind.case) {
    case "service": {
      const { roleCommand, services, components, cluster, hosts } = operation.kind.value;
      const what = components.length > 0 ? components : services;
      const which = what.length > 0 ? `${what.join(", ")} of` : "all of";
      return `${roleCommandWord(roleCommand)} ${which} ${cluster || "the cluster"}${onHosts(hosts)}`;
    }
    case "customCommand": {
      const { command, component, cluster, hosts } = operation.kind.value;
      return `${command} of ${component} of ${cluster || "the cluster"}${onHosts(hosts)}`;
    }
    case "customAction": {
      const { name, cluster, component, hosts } = operation.kind.value;
      const about = component === "" ? cluster : `${component} of ${cluster}`;
      return `${name}${about === "" ? "" : ` for ${about}`}${onHosts(hosts)}`;
    }
    case "adHoc": {
      const { argv, hosts } = operation.kind.value;
      return `run \`${oneLine(argv.join(" "))}\`${onHosts(hosts)}`;
    }
    default:
      return "";
  }
}

/** " on web-*, rack=r1"; empty for all hosts. */
function onHosts(hosts: HostSelector | undefined): string {
  const labels = Object.entries(hosts?.labels ?? {}).map(([key, value]) => `${key}=${value}`);
  const selectors = [...(hosts?.names ?? []), ...labels];
  return selectors.length === 0 ? "" : ` on ${selectors.join(", ")}`;
}
