import { setTimeout as sleep } from "node:timers/promises";
import type { Connection, RowDataPacket } from "mysql2/promise";
import type { OwnershipSighting, Sighting } from "../check/history.js";
import { uptimeMs } from "../uptime.js";
import { openDatabase } from "./open-database.js";

/** Looks into the store's tables again and again while a run goes on. */
export interface StoreObserver {
  readonly sightings: readonly Sighting[];
  readonly ownership: readonly OwnershipSighting[];
  /** Tasks that may still change, as last seen. */
  readonly openTasks: readonly OpenTask[];
  /** Ends with a last look. */
  stop(): Promise<void>;
}

export interface OpenTask {
  readonly taskId: number;
  readonly requestId: number;
  readonly hostId: number;
  readonly attempt: number;
  readonly sessionEpoch: number;
  /** The token that owns its request. */
  readonly ownerToken: number;
}

/**
 * Begins to look. InnoDB shows a commit to others before it is on disk, and a kill may then undo what was seen; so each look ends with
 * a commit of its own, in a table of its own, and counts only when that is durable: then so is all that was before it.
 * @param url the database as it is now; it may be another port after a restart
 */
export function observeStore(url: () => string, everyMs = 250): StoreObserver {
  const stopping = new AbortController();
  const sightings: Sighting[] = [];
  const ownership: OwnershipSighting[] = [];
  const lastTasks = new Map<number, string>();
  const lastOwners = new Map<string, number>();
  const lastVersions = new Map<number, number>();
  const openTasks = new Map<number, OpenTask>();

  async function look(connection: Connection): Promise<void> {
    const all = async (sql: string, values: unknown[] = []) =>
      (await connection.query<RowDataPacket[]>(sql, values))[0];
    await connection.query("set transaction isolation level repeatable read");
    await connection.query("start transaction with consistent snapshot, read only");
    const requests = await all("select request_id, version, owner_token from request");
    const changed = requests.filter((r) => lastVersions.get(r.request_id) !== r.version);
    const tasks =
      changed.length === 0
        ? []
        : await all(
            `select task_id, request_id, host_id, attempt, status, session_epoch from host_role_command
            where request_id in (?) order by task_id`,
            [changed.map((r) => r.request_id)],
          );
    const sessions = await all("select host_id, session_epoch from session");
    const leases = await all("select name, token from lease");
    await connection.query("commit");
    await connection.query("replace into howdah_chaos.mark (id, n) values (1, rand() * 1e9)");
    const atMs = uptimeMs();
    for (const { request_id, version } of changed) lastVersions.set(request_id, version);
    for (const row of tasks) {
      const { task_id: taskId, request_id: requestId, attempt, status } = row;
      if (lastTasks.get(taskId) === `${status} ${attempt}`) continue;
      lastTasks.set(taskId, `${status} ${attempt}`);
      sightings.push({ atMs, taskId, requestId, attempt, status });
    }
    const owners: [string, number][] = [
      ...requests.map((r): [string, number] => [`request ${r.request_id}`, r.owner_token]),
      ...sessions.map((s): [string, number] => [`session of host ${s.host_id}`, s.session_epoch]),
      ...leases.map((l): [string, number] => [`lease ${l.name}`, l.token]),
    ];
    for (const [what, owner] of owners) {
      if (lastOwners.get(what) === owner) continue;
      lastOwners.set(what, owner);
      ownership.push({ atMs, what, owner });
    }
    for (const row of tasks) {
      const { task_id: taskId, request_id: requestId, status } = row;
      if (!["QUEUED", "IN_PROGRESS"].includes(status)) openTasks.delete(taskId);
      else {
        openTasks.set(taskId, {
          ...{ taskId, requestId, hostId: row.host_id, attempt: row.attempt },
          sessionEpoch: row.session_epoch,
          ownerToken: lastOwners.get(`request ${requestId}`) ?? 0,
        });
      }
    }
  }

  async function open(): Promise<Connection> {
    const connection = await openDatabase(url());
    await connection.query("create database if not exists howdah_chaos");
    await connection.query(
      "create table if not exists howdah_chaos.mark (id int primary key, n bigint not null)",
    );
    return connection;
  }

  async function observe(): Promise<void> {
    let connection: Connection | undefined;
    for (let last = false; !last; ) {
      last = stopping.signal.aborted;
      try {
        connection ??= await open();
        await look(connection);
      } catch {
        connection?.destroy(); // the database is away, and will be back
        connection = undefined;
      }
      await sleep(everyMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
    await connection?.end();
  }
  const observing = observe();

  return {
    sightings,
    ownership,
    get openTasks() {
      return [...openTasks.values()];
    },
    async stop() {
      stopping.abort();
      await observing;
    },
  };
}
