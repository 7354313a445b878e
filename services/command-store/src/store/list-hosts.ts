import { query } from "../database/query.js";
import type { Binding } from "../database/statement.js";
import type { Database } from "../database/together.js";

/** What decides whether a host is selected. */
export interface HostKey {
  readonly hostId: number;
  readonly hostName: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Which hosts to list: `names` only those of these names, `state` only those in it, `withProblems` only those with a problem. */
export interface HostCondition {
  readonly names?: readonly string[] | undefined;
  readonly state?: string | undefined;
  readonly withProblems?: boolean;
}

/** The condition as SQL on `host h`, of hosts behind a name. */
export function hostCondition(
  after: string,
  { names, state, withProblems }: HostCondition,
): { condition: string; bindings: Binding[] } {
  return {
    condition: `h.host_name > ? ${names === undefined ? "" : "and h.host_name in (?)"}
      ${state === undefined ? "" : "and h.state = ?"}
      ${withProblems ? "and exists (select 1 from host_status p where p.host_id = h.host_id and p.problems is not null)" : ""}`,
    bindings: [
      after,
      ...(names === undefined ? [] : [names]),
      ...(state === undefined ? [] : [state]),
    ],
  };
}

/** The next hosts by name behind `after`, `limit` at most. */
export async function listHostKeys(
  db: Database,
  after: string,
  only: HostCondition,
  limit: number,
): Promise<HostKey[]> {
  const { condition, bindings } = hostCondition(after, only);
  const rows = await query<{ host_id: number; host_name: string; labels: string }>(
    db,
    `select h.host_id, h.host_name, h.labels from host h where ${condition} order by h.host_name limit ?`,
    [...bindings, limit],
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
