import type { Knex } from "knex";
import { query } from "../database/query.js";

/** What decides whether a host is selected. */
export interface HostKey {
  readonly hostId: number;
  readonly hostName: string;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * The next hosts by name behind `after`, `limit` at most; with `names` only those of these names, with `state` only those in it. `withProblems`: only
 * those with a problem.
 */
export async function listHostKeys(
  db: Knex,
  after: string,
  {
    names,
    state,
    withProblems,
  }: {
    names?: readonly string[] | undefined;
    state?: string | undefined;
    withProblems?: boolean;
  },
  limit: number,
): Promise<HostKey[]> {
  const rows = await query<{ host_id: number; host_name: string; labels: string }>(
    db,
    `select host_id, host_name, labels from host
    where host_name > ? ${names === undefined ? "" : "and host_name in (?)"}
      ${state === undefined ? "" : "and state = ?"}
      ${withProblems ? "and exists (select 1 from host_status hs where hs.host_id = host.host_id and hs.problems is not null)" : ""}
    order by host_name limit ?`,
    [
      after,
      ...(names === undefined ? [] : [names]),
      ...(state === undefined ? [] : [state]),
      limit,
    ],
  );
  return rows.map((row) => ({
    hostId: row.host_id,
    hostName: row.host_name,
    labels: parseLabels(row.labels),
  }));
}

/** Labels as the host table keeps them: a JSON object, or nothing. */
export function parseLabels(text: string): Record<string, string> {
  return text === "" ? {} : (JSON.parse(text) as Record<string, string>);
}
