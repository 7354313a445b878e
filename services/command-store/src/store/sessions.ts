import type { Knex } from "knex";
import { isDuplicate, StaleReadError } from "../database/database-errors.js";
import { jsonRows } from "../database/json-rows.js";
import { execute, query } from "../database/query.js";

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

/** The select list of a `HostSession`, of `host h left join session s`. */
export const hostSessionColumns = `h.host_id as hostId, h.agent_id as agentId, h.journal_id as journalId,
  coalesce(s.session_epoch, 0) as sessionEpoch, s.open, coalesce(s.dispatcher, '') as dispatcher,
  coalesce(s.dispatcher_token, 0) as dispatcherToken, coalesce(s.peer_address, '') as peerAddress`;

/** A `HostSession` as the driver gives it. */
export type RawHostSession = Omit<HostSession, "open"> & { readonly open: number | null };

/** Makes it out of what the driver gives. */
export function toHostSession(raw: RawHostSession): HostSession {
  return { ...raw, open: raw.open === 1 };
}

/** Reads a host and its last session by the host's name. */
export async function readHostSession(
  db: Knex,
  hostName: string,
): Promise<HostSession | undefined> {
  const [row] = await query<RawHostSession>(
    db,
    `select ${hostSessionColumns} from host h left join session s on s.host_id = h.host_id where h.host_name = ?`,
    [hostName],
  );
  return row && toHostSession(row);
}

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
  readonly registeredAt: number;
}

/** Makes a host and gives its id. `StaleReadError` when somebody else has just made it. */
export async function insertHost(trx: Knex.Transaction, host: HostFacts): Promise<number> {
  try {
    const { insertId } = await execute(
      trx,
      `insert into host (host_name, agent_id, journal_id, boot_id, agent_version, labels, facts, registered_at)
      values (?, ?, ?, ?, ?, ?, ?, ?)`,
      [
        host.hostName,
        host.agentId,
        host.journalId,
        host.bootId,
        host.agentVersion,
        host.labels,
        host.facts,
        host.registeredAt,
      ],
    );
    return insertId;
  } catch (error) {
    if (isDuplicate(error)) throw new StaleReadError(`host ${host.hostName} is there already`);
    throw error;
  }
}

/** Writes what an agent says about its host, which is HEALTHY with that. */
export async function updateHost(
  trx: Knex.Transaction,
  hostId: number,
  host: HostFacts,
): Promise<void> {
  await execute(
    trx,
    `update host set agent_id = ?, journal_id = ?, boot_id = ?, agent_version = ?, labels = ?, facts = ?,
      registered_at = ?, state = 'HEALTHY' where host_id = ?`,
    [
      host.agentId,
      host.journalId,
      host.bootId,
      host.agentVersion,
      host.labels,
      host.facts,
      host.registeredAt,
      hostId,
    ],
  );
}

/** A session to be opened. */
export interface NewSession {
  readonly hostId: number;
  readonly dispatcher: string;
  readonly dispatcherToken: number;
  readonly peerAddress: string;
  readonly openedAt: number;
}

/**
 * Opens a host's next session and gives its epoch, one above `lastEpoch` (0: the host never had one). `StaleReadError` when
 * another session has been opened since `lastEpoch` was read.
 */
export async function writeSession(
  trx: Knex.Transaction,
  session: NewSession,
  lastEpoch: number,
): Promise<number> {
  const { hostId, dispatcher, dispatcherToken, peerAddress, openedAt } = session;
  if (lastEpoch === 0) {
    try {
      await execute(
        trx,
        `insert into session (host_id, session_epoch, dispatcher, dispatcher_token, peer_address, opened_at, closed_at, open)
        values (?, 1, ?, ?, ?, ?, 0, 1)`,
        [hostId, dispatcher, dispatcherToken, peerAddress, openedAt],
      );
    } catch (error) {
      if (isDuplicate(error)) throw new StaleReadError(`host ${hostId} has a session already`);
      throw error;
    }
    return 1;
  }
  const { affectedRows } = await execute(
    trx,
    `update session set session_epoch = session_epoch + 1, dispatcher = ?, dispatcher_token = ?, peer_address = ?,
      opened_at = ?, closed_at = 0, open = 1 where host_id = ? and session_epoch = ?`,
    [dispatcher, dispatcherToken, peerAddress, openedAt, hostId, lastEpoch],
  );
  if (affectedRows !== 1) throw new StaleReadError(`host ${hostId} has a newer session`);
  return lastEpoch + 1;
}

/** Moves tasks that their agent may still speak about to its new session. */
export async function moveTasksToSession(
  trx: Knex.Transaction,
  taskIds: readonly number[],
  sessionEpoch: number,
): Promise<void> {
  if (taskIds.length === 0) return;
  await execute(
    trx,
    "update host_role_command set session_epoch = ? where task_id in (?) and open_host_id is not null",
    [sessionEpoch, taskIds],
  );
}

const closeSessions = `update ${jsonRows("v", { host_id: "bigint", epoch: "bigint" })}
  straight_join session s force index (primary) on s.host_id = v.host_id and s.session_epoch = v.epoch
set s.open = null, s.closed_at = ? where s.open = 1`;

/** Closes sessions, each if it is still its host's current one. */
export async function writeClosedSessions(
  db: Knex,
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
  db: Knex,
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
