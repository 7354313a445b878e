import { create, toBinary } from "@bufbuild/protobuf";
import {
  type AlertDefinitionCommand,
  AlertDefinitionCommandSchema,
} from "@howdah/proto/howdah/v1/agent_service";
import {
  type HostsAlertDefinitions,
  HostsAlertDefinitionsSchema,
} from "@howdah/proto/howdah/v1/dispatcher_service";

/** What one call may hold; a dispatcher refuses more than twice as many hosts. */
const maxHosts = 5_000;
const maxBytes = 1 << 20;
/** Never less than a host's id has on the wire. */
const idBytes = 12;

/** The calls that tell hosts these commands: each host is in one of them, a command is in a call once however many of its hosts are. */
export function definitionBatches(
  hostsByCommand: Iterable<readonly [AlertDefinitionCommand, readonly bigint[]]>,
): HostsAlertDefinitions[][] {
  const batches: HostsAlertDefinitions[][] = [];
  let batch: HostsAlertDefinitions[] = [];
  let count = 0;
  let bytes = 0;

  function close(): void {
    if (batch.length > 0) batches.push(batch);
    batch = [];
    count = 0;
    bytes = 0;
  }

  for (const [command, hosts] of hostsByCommand) {
    const size = toBinary(AlertDefinitionCommandSchema, command).length + idBytes;
    for (let from = 0; from < hosts.length; ) {
      if (count === maxHosts || (count > 0 && bytes + size + idBytes > maxBytes)) close();
      const hostIds = hosts.slice(from, from + maxHosts - count);
      batch.push(create(HostsAlertDefinitionsSchema, { command, hostIds }));
      from += hostIds.length;
      count += hostIds.length;
      bytes += size + hostIds.length * idBytes;
    }
  }
  close();
  return batches;
}
