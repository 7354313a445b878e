import type { Operation } from "@howdah/proto/howdah/v1/operation";
import { roleCommandWord } from "./words.js";

/** An operation in a few words: "RESTART HDFS of prod", "run `uptime` on web-*". */
export function operationWords(operation: Operation | undefined): string {
  switch (operation?.kind.case) {
    case "service": {
      const { roleCommand, services, components, cluster } = operation.kind.value;
      const what = components.length > 0 ? components : services;
      const which = what.length > 0 ? `${what.join(", ")} of` : "all of";
      return `${roleCommandWord(roleCommand)} ${which} ${cluster || "the cluster"}`;
    }
    case "customCommand": {
      const { command, component, cluster } = operation.kind.value;
      return `${command} of ${component} of ${cluster || "the cluster"}`;
    }
    case "adHoc": {
      const { argv, hosts } = operation.kind.value;
      const labels = Object.entries(hosts?.labels ?? {}).map(([key, value]) => `${key}=${value}`);
      return `run \`${argv.join(" ")}\` on ${[...(hosts?.names ?? []), ...labels].join(", ")}`;
    }
    default:
      return "";
  }
}
