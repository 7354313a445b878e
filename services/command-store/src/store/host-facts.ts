import { isDuplicate, StaleReadError } from "../database/database-errors.js";
import { jsonRows } from "../database/json-rows.js";
import { execute, query } from "../database/query.js";
import type { Transaction } from "../database/together.js";

/** What an agent says about its host when it registers. */
export interface HostFacts {
  readonly hostName: string;
  readonly agentId: string;
  readonly journalId: string;
  readonly bootId: string;
  readonly agentVersion: string;
  /** A JSON object. */
  readonly labels: string;
  /** A JSON object. */
  readonly facts: string;
}

/** Makes hosts and gives their ids by their names. `StaleReadError` when somebody else has just made one of them. */
export async function insertHosts(
  trx: Transaction,
  hosts: readonly HostFacts[],
  now: number,
): Promise<Map<string, number>> {
  if (hosts.length === 0) return new Map();
  // In one order whoever makes them, so that none waits for another in a circle.
  const inOrder = [...hosts].sort((a, b) => (a.hostName < b.hostName ? -1 : 1));
  try {
    await execute(
      trx,
      `insert into host (host_name, agent_id, journal_id, boot_id, agent_version, labels, facts, registered_at) values ?`,
      [
        inOrder.map((host) => [
          ...[host.hostName, host.agentId, host.journalId, host.bootId, host.agentVersion],
          ...[host.labels, host.facts, now],
        ]),
      ],
    );
  } catch (error) {
    if (isDuplicate(error)) throw new StaleReadError("a host is there already that was not");
    throw error;
  }
  const rows = await query<{ hostName: string; hostId: number }>(
    trx,
    "select host_name as hostName, host_id as hostId from host where host_name in (?)",
    [hosts.map(({ hostName }) => hostName)],
  );
  return new Map(rows.map(({ hostName, hostId }) => [hostName, hostId]));
}

const utf8 = "character set utf8mb4";

const updateFacts = `update ${jsonRows("v", {
  host_id: "bigint",
  agent_id: `varchar(64) ${utf8}`,
  journal_id: `varchar(64) ${utf8}`,
  boot_id: `varchar(64) ${utf8}`,
  agent_version: `varchar(64) ${utf8}`,
  labels: `longtext ${utf8}`,
  facts: `longtext ${utf8}`,
})} straight_join host h force index (primary) on h.host_id = v.host_id
set h.agent_id = v.agent_id, h.journal_id = v.journal_id, h.boot_id = v.boot_id, h.agent_version = v.agent_version,
  h.labels = v.labels, h.facts = v.facts, h.registered_at = ?, h.state = 'HEALTHY'`;

/** Writes what agents say about their hosts, which are HEALTHY with that; in the order of the hosts' ids. */
export async function updateHosts(
  trx: Transaction,
  hosts: readonly (HostFacts & { readonly hostId: number })[],
  now: number,
): Promise<void> {
  if (hosts.length === 0) return;
  const rows = hosts.map(({ hostId, agentId, journalId, bootId, agentVersion, labels, facts }) => [
    ...[hostId, agentId, journalId, bootId, agentVersion, labels, facts],
  ]);
  await execute(trx, updateFacts, [JSON.stringify(rows), now]);
}
