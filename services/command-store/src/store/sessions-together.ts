import type { Knex } from "knex";
import { StaleReadError } from "../database/database-errors.js";
import { jsonRows } from "../database/json-rows.js";
import { execute, query } from "../database/query.js";
import {
  type HostFacts,
  type HostSession,
  hostSessionColumns,
  type NewSession,
  type RawHostSession,
  toHostSession,
} from "./sessions.js";
import { type RawTaskRow, type TaskRow, taskColumns, toTaskRow } from "./task-rows.js";

/** Reads hosts and their last sessions by the hosts' names. */
export async function readHostSessions(
  db: Knex,
  hostNames: readonly string[],
): Promise<Map<string, HostSession>> {
  const rows = await query<RawHostSession & { hostName: string }>(
    db,
    `select h.host_name as hostName, ${hostSessionColumns}
    from host h left join session s on s.host_id = h.host_id where h.host_name in (?)`,
    [hostNames],
  );
  return new Map(rows.map(({ hostName, ...row }) => [hostName, toHostSession(row)]));
}

/**
 * Makes hosts and gives their ids by their names. What makes them must hold that they were not there: a name that is taken is a duplicate.
 */
export async function insertHosts(
  trx: Knex.Transaction,
  hosts: readonly HostFacts[],
): Promise<Map<string, number>> {
  if (hosts.length === 0) return new Map();
  await execute(
    trx,
    `insert into host (host_name, agent_id, journal_id, boot_id, agent_version, labels, facts, registered_at) values ?`,
    [
      hosts.map((host) => [
        ...[host.hostName, host.agentId, host.journalId, host.bootId, host.agentVersion],
        ...[host.labels, host.facts, host.registeredAt],
      ]),
    ],
  );
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
  trx: Knex.Transaction,
  hosts: readonly (HostFacts & { readonly hostId: number })[],
  now: number,
): Promise<void> {
  if (hosts.length === 0) return;
  const rows = hosts.map(({ hostId, agentId, journalId, bootId, agentVersion, labels, facts }) => [
    ...[hostId, agentId, journalId, bootId, agentVersion, labels, facts],
  ]);
  await execute(trx, updateFacts, [JSON.stringify(rows), now]);
}

const nextSessions = `update ${jsonRows("v", {
  host_id: "bigint",
  last_epoch: "bigint",
  dispatcher: `varchar(100) ${utf8}`,
  token: "bigint",
  peer: `varchar(255) ${utf8}`,
})} straight_join session s force index (primary) on s.host_id = v.host_id
set s.session_epoch = s.session_epoch + 1, s.dispatcher = v.dispatcher, s.dispatcher_token = v.token, s.peer_address = v.peer,
  s.opened_at = ?, s.closed_at = 0, s.open = 1 where s.session_epoch = v.last_epoch`;

/**
 * Opens hosts' next sessions, each with the epoch above `lastEpoch` (0: the host never had one), in the order of the hosts' ids.
 * `StaleReadError` when another session of one has been opened since; a duplicate when that was its first.
 */
export async function writeSessions(
  trx: Knex.Transaction,
  sessions: readonly (NewSession & { readonly lastEpoch: number })[],
  now: number,
): Promise<void> {
  const first = sessions.filter(({ lastEpoch }) => lastEpoch === 0);
  if (first.length > 0) {
    await execute(
      trx,
      `insert into session (host_id, session_epoch, dispatcher, dispatcher_token, peer_address, opened_at, closed_at, open) values ?`,
      [
        first.map((one) => [
          ...[one.hostId, 1, one.dispatcher, one.dispatcherToken, one.peerAddress, now, 0, 1],
        ]),
      ],
    );
  }
  const next = sessions.filter(({ lastEpoch }) => lastEpoch > 0);
  if (next.length === 0) return;
  const rows = next.map(({ hostId, lastEpoch, dispatcher, dispatcherToken, peerAddress }) => [
    ...[hostId, lastEpoch, dispatcher, dispatcherToken, peerAddress],
  ]);
  const { affectedRows } = await execute(trx, nextSessions, [JSON.stringify(rows), now]);
  if (affectedRows !== next.length) {
    throw new StaleReadError(`${next.length - affectedRows} hosts have a newer session`);
  }
}

/** Reads the tasks of hosts about which their agents may still say something. */
export async function readOpenTasksOf(
  db: Knex,
  hostIds: readonly number[],
): Promise<Pick<TaskRow, "taskId" | "hostId">[]> {
  return query(
    db,
    "select t.task_id as taskId, t.host_id as hostId from host_role_command t where t.open_host_id in (?)",
    [hostIds],
  );
}

const moveTasks = `update ${jsonRows("v", { task_id: "bigint", epoch: "bigint" })}
  straight_join host_role_command t force index (primary) on t.task_id = v.task_id
set t.session_epoch = v.epoch where t.open_host_id is not null`;

/** Moves tasks that their agents may still speak about to their hosts' new sessions, in the order of the tasks' ids. */
export async function moveTasksToSessions(
  trx: Knex.Transaction,
  tasks: readonly { readonly taskId: number; readonly epoch: number }[],
): Promise<void> {
  if (tasks.length === 0) return;
  const rows = tasks.map(({ taskId, epoch }) => [taskId, epoch]);
  await execute(trx, moveTasks, [JSON.stringify(rows.sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0)))]);
}

/** Reads tasks by their ids, in the order in which they were to run. */
export async function readTasksInOrder(db: Knex, taskIds: readonly number[]): Promise<TaskRow[]> {
  if (taskIds.length === 0) return [];
  const rows = await query<RawTaskRow>(
    db,
    `select ${taskColumns} from host_role_command t where t.task_id in (?)
    order by t.request_id, t.stage_id, t.task_id`,
    [taskIds],
  );
  return rows.map(toTaskRow);
}
