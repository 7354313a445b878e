import type { Knex } from "knex";
import { listHostKeys } from "../store/list-hosts.js";
import { type HostRow, readHosts, readHostsBehind } from "../store/read-hosts.js";
import type { HostPage } from "./fleet-requests.js";

const keysAtOnce = 5_000;
const rowsAtOnce = 500;
const briefRowsAtOnce = 5_000;
/** Facts may be long, and a message has 4 MiB at most: a page ends early rather than not at all. */
const pageBytes = 2 << 20;

/** A page of the selected hosts, by name, and whether there are more. */
export async function selectHosts(
  db: Knex,
  page: HostPage,
): Promise<{ hosts: HostRow[]; more: boolean }> {
  const hosts: HostRow[] = [];
  let bytes = 0;
  for await (const row of page.brief && page.filter.named ? named(db, page) : picked(db, page)) {
    bytes += row.facts.length + row.labels.length + (row.problems?.length ?? 0);
    const isFull = hosts.length === page.size || (bytes > pageBytes && hosts.length > 0);
    if (isFull) return { hosts, more: true };
    hosts.push(row);
  }
  return { hosts, more: false };
}

/** The page's hosts and one more, where names and labels need no look at hosts that are not selected: with one statement. */
async function* named(db: Knex, { filter, size, after, ...only }: HostPage) {
  yield* await readHostsBehind(db, after, { names: filter.exactNames, ...only }, size + 1);
}

/** The page's hosts and one more, looked for among all. */
async function* picked(db: Knex, page: HostPage) {
  const ids = await selectIds(db, page);
  const atOnce = page.brief ? briefRowsAtOnce : rowsAtOnce;
  for (let start = 0; start < ids.length; start += atOnce) {
    yield* await readHosts(db, ids.slice(start, start + atOnce), page.brief);
  }
}

/** The ids of the page's hosts, and one more when there are more. Patterns and labels are matched here: SQL has no ranges. */
async function selectIds(db: Knex, { filter, size, after, ...only }: HostPage): Promise<number[]> {
  const ids: number[] = [];
  for (let from = after; ; ) {
    const keys = await listHostKeys(db, from, { names: filter.exactNames, ...only }, keysAtOnce);
    for (const { hostId, hostName, labels } of keys) {
      if (filter.matches(hostName, labels) && ids.push(hostId) > size) return ids;
      from = hostName;
    }
    if (keys.length < keysAtOnce) return ids;
  }
}
