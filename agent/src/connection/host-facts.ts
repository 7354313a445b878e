import { arch, cpus, hostname, release, totalmem, type } from "node:os";

/** What the agent says of its host at registration, by Ambari's names where it has them [A 6.3]. */
export function hostFacts(): Record<string, string | number> {
  return {
    hostname: hostname(),
    architecture: arch(),
    kernel: type(),
    kernelrelease: release(),
    processorcount: cpus().length,
    memorytotal: Math.round(totalmem() / 1_024),
    node: process.version,
  };
}
