import type { TaskStatus } from "@howdah/state/statuses";
import { isDuplicate, StaleReadError } from "../database/database-errors.js";
import { jsonRows } from "../database/json-rows.js";
import { execute, query } from "../database/query.js";
import type { Database, Transaction } from "../database/together.js";

/** A host and its last session. */
export interface HostSession {
  readonly hostId: number;
  readonly agentId: string;
  readonly journalId: string;
  /** 0 when it never had a session. */
  readonly sessionEpoch: number;
  readonly open: boolean;
  readonly dispatcher: string;
  readonly dispatcherToken: number;
  readonly peerAddress: string;
}

/** Reads hosts and their last sessions by the hosts' names. */
export async function readHostSessions(
  db: Database,
  hostNames: readonly string[],
): Promise<Map<string, HostSession>> {
  const rows = await query<
    Omit<HostSession, "open"> & { readonly open: number | null; readonly hostName: string }
  >(
    db,
    `select h.host_name as hostName, h.host_id as hostId, h.agent_id as agentId, h.journal_id as journalId,
      coalesce(s.session_epoch, 0) as sessionEpoch, s.open, coalesce(s.dispatcher, '') as dispatcher,
      coalesce(s.dispatcher_token, 0) as dispatcherToken, coalesce(s.peer_address, '') as peerAddress
    from host h left join session s on s.host_id = h.host_id where h.host_name in (?)`,
    [hostNames],
  );
  return new Map(rows.map(({ hostName, ...row }) => [hostName, { ...row, open: row.open === 1 }]));
}

/** A session to be opened. */
export interface NewSession {
  readonly hostId: number;
  /** One above that of the host's last session: 1 when it never had one. */
  readonly epoch: number;
  readonly dispatcher: string;
  readonly dispatcherToken: number;
  readonly peerAddress: string;
}

const nextSessions = `update ${jsonRows("v", {
  host_id: "bigint",
  epoch: "bigint",
  dispatcher: "varchar(100) character set utf8mb4",
  token: "bigint",
  peer: "varchar(255) character set utf8mb4",
})} straight_join session s force index (primary) on s.host_id = v.host_id
set s.session_epoch = v.epoch, s.dispatcher = v.dispatcher, s.dispatcher_token = v.token, s.peer_address = v.peer,
  s.opened_at = ?, s.closed_at = 0, s.open = 1 where s.session_epoch = v.epoch - 1`;

/** Opens hosts' next sessions, in the order of the hosts' ids. `StaleReadError` when one has another session by now. */
export async function writeSessions(
  trx: Transaction,
  sessions: readonly NewSession[],
  now: number,
): Promise<void> {
  const rows = sessions.map(({ hostId, epoch, dispatcher, dispatcherToken, peerAddress }) => [
    ...[hostId, epoch, dispatcher, dispatcherToken, peerAddress],
  ]);
  await insertFirst(
    trx,
    rows.filter(([, epoch]) => epoch === 1).map((row) => [...row, now, 0, 1]),
  );
  const next = rows.filter(([, epoch]) => epoch !== 1);
  if (next.length === 0) return;
  const { affectedRows } = await execute(trx, nextSessions, [JSON.stringify(next), now]);
  if (affectedRows !== next.length) {
    throw new StaleReadError(`${next.length - affectedRows} hosts have a newer session`);
  }
}

async function insertFirst(
  trx: Transaction,
  rows: readonly (readonly (string | number)[])[],
): Promise<void> {
  if (rows.length === 0) return;
  try {
    await execute(
      trx,
      `insert into session (host_id, session_epoch, dispatcher, dispatcher_token, peer_address, opened_at, closed_at, open) values ?`,
      [rows],
    );
  } catch (error) {
    if (isDuplicate(error)) throw new StaleReadError("a host has a session already that had none");
    throw error;
  }
}

/** A task about which its host's agent may still say something. */
export interface OpenTask {
  readonly taskId: number;
  readonly requestId: number;
  readonly hostId: number;
  readonly status: TaskStatus;
  readonly attempt: number;
}

/** Reads the open tasks of hosts. */
export async function readOpenTasks(db: Database, hostIds: readonly number[]): Promise<OpenTask[]> {
  return query(
    db,
    `select t.task_id as taskId, t.request_id as requestId, t.host_id as hostId, t.status + 0 as status, t.attempt
    from host_role_command t where t.open_host_id in (?)`,
    [hostIds],
  );
}

const moveTasks = `update ${jsonRows("v", { task_id: "bigint", epoch: "bigint" })}
  straight_join host_role_command t force index (primary) on t.task_id = v.task_id
set t.session_epoch = v.epoch where t.open_host_id is not null`;

/** Moves tasks that their agents may still speak about to their hosts' new sessions, in the order of the tasks' ids. */
export async function moveTasksToSessions(
  trx: Transaction,
  tasks: readonly { readonly taskId: number; readonly epoch: number }[],
): Promise<void> {
  if (tasks.length === 0) return;
  const rows = tasks.map(({ taskId, epoch }) => [taskId, epoch]);
  await execute(trx, moveTasks, [JSON.stringify(rows.sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0)))]);
}

const closeSessions = `update ${jsonRows("v", { host_id: "bigint", epoch: "bigint" })}
  straight_join session s force index (primary) on s.host_id = v.host_id and s.session_epoch = v.epoch
set s.open = null, s.closed_at = ? where s.open = 1`;

/** Closes sessions, each if it is still its host's current one. */
export async function writeClosedSessions(
  db: Database,
  sessions: readonly { readonly hostId: number; readonly sessionEpoch: number }[],
  closedAt: number,
): Promise<void> {
  if (sessions.length === 0) return;
  const rows = sessions.map(({ hostId, sessionEpoch }) => [hostId, sessionEpoch]);
  await execute(db, closeSessions, [
    JSON.stringify(rows.sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0))),
    closedAt,
  ]);
}

/** The epoch of each host's last session; hosts that never had one are left out. */
export async function readSessionEpochs(
  db: Database,
  hostIds: readonly number[],
): Promise<Map<number, number>> {
  if (hostIds.length === 0) return new Map();
  const rows = await query<{ hostId: number; epoch: number }>(
    db,
    "select host_id as hostId, session_epoch as epoch from session where host_id in (?)",
    [hostIds],
  );
  return new Map(rows.map(({ hostId, epoch }) => [hostId, epoch]));
}
