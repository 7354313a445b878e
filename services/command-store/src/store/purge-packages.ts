import { fromBinary } from "@bufbuild/protobuf";
import { StackDefinitionSchema } from "@howdah/proto/howdah/v1/stack";
import { execute, query } from "../database/query.js";
import type { Database } from "../database/together.js";
import { untilItHolds } from "../database/transaction.js";
import { packagesOfStack } from "./packages-of-stack.js";
import type { PackageRow } from "./put-package.js";

const requestsAtOnce = 100;
/** 5 MiB. */
const chunksAtOnce = 20;

const isCurrentDocument = `exists (select 1 from cluster c where p.digest in
  (c.configurations_digest, c.topology_digest, c.metadata_digest, c.alert_definitions_digest))`;

/**
 * Whether no stack was pushed and no cluster's document put since a time. Else something may have begun with what they named before,
 * and be just about to be written down.
 */
export async function isQuiet(db: Database, since: number): Promise<boolean> {
  const [stacks] = await query<{ last: number | null }>(
    db,
    "select max(pushed_at) as last from stack",
  );
  const [documents] = await query<{ last: number | null }>(
    db,
    `select max(p.created_at) as last from package p where ${isCurrentDocument}`,
  );
  return (stacks?.last ?? 0) < since && (documents?.last ?? 0) < since;
}

/**
 * Packages put before a time that no cluster, no stack, no open task's or component's binding and no request names, save the requests
 * given.
 */
export async function listUnnamed(
  db: Database,
  before: number,
  isIgnored: (requestId: number) => boolean,
): Promise<PackageRow[]> {
  const rows = await query<PackageRow>(
    db,
    `select p.digest, p.size, p.upload_id as uploadId from package p
    where p.created_at < ? and not ${isCurrentDocument} order by p.digest`,
    [before],
  );
  const unnamed = new Map(rows.map((row) => [row.digest, row]));
  if (unnamed.size > 0) for (const digest of await digestsOfStacks(db)) unnamed.delete(digest);
  if (unnamed.size > 0) for (const digest of await digestsOfOpenTasks(db)) unnamed.delete(digest);
  if (unnamed.size > 0) for (const digest of await digestsOfComponents(db)) unnamed.delete(digest);
  // By far the most to read, so the candidates are few by now.
  if (unnamed.size > 0) await removeNamedByRequests(db, unnamed, isIgnored);
  return [...unnamed.values()];
}

async function digestsOfStacks(db: Database): Promise<string[]> {
  const rows = await query<{ definition: Buffer }>(db, "select definition from stack");
  return rows.flatMap(({ definition }) => [
    ...packagesOfStack(fromBinary(StackDefinitionSchema, definition)).keys(),
  ]);
}

/** What was bound to tasks about which an agent may still say something: a task that is over needs its documents no more. */
async function digestsOfOpenTasks(db: Database): Promise<string[]> {
  const rows = await query<Record<"configurations" | "topology" | "metadata", string>>(
    db,
    `select distinct b.configurations_digest as configurations, b.topology_digest as topology, b.metadata_digest as metadata
    from host_role_command t force index (open_host) straight_join command_binding b on b.binding_id = t.binding_id
    where t.open_host_id is not null`,
  );
  return rows.flatMap(({ configurations, topology, metadata }) => [
    configurations,
    topology,
    metadata,
  ]);
}

/** What components were started with: what has changed since is found by comparing. */
async function digestsOfComponents(db: Database): Promise<string[]> {
  const rows = await query<{ digest: string }>(
    db,
    `select distinct b.configurations_digest as digest from (select distinct binding_id from host_component) c
    join command_binding b on b.binding_id = c.binding_id`,
  );
  return rows.map(({ digest }) => digest);
}

/** Any request may be retried, so what its stages name must stay. Digests stand in them as text. */
async function removeNamedByRequests(
  db: Database,
  unnamed: Map<string, PackageRow>,
  isIgnored: (requestId: number) => boolean,
): Promise<void> {
  for (let above = 0; ; ) {
    const page = await query<{ requestId: number }>(
      db,
      `select request_id as requestId from request force index (primary)
      where request_id > ? order by request_id limit ?`,
      [above, requestsAtOnce],
    );
    const last = page.at(-1);
    if (last === undefined) return;
    above = last.requestId;
    const ids = page.map(({ requestId }) => requestId).filter((id) => !isIgnored(id));
    if (ids.length === 0) continue;
    const stages = await query<{ header: Buffer }>(
      db,
      "select s.command_params as header from stage s where s.request_id in (?)",
      [ids],
    );
    for (const { header } of stages) {
      for (const digest of unnamed.keys()) if (header.includes(digest)) unnamed.delete(digest);
    }
  }
}

/**
 * Deletes a package unless somebody has put it again since `before`: then it may be named by now. Its chunks go after it, 5 MiB at a
 * time; what is left of them when that breaks off is an upload that nothing refers to. Whether it was deleted.
 */
export async function deletePackage(
  db: Database,
  { digest, uploadId }: PackageRow,
  before: number,
): Promise<boolean> {
  const { affectedRows } = await untilItHolds(() =>
    execute(db, "delete from package where digest = ? and created_at < ?", [digest, before]),
  );
  if (affectedRows === 0) return false;
  for (;;) {
    const { affectedRows } = await untilItHolds(() =>
      execute(db, "delete from package_chunk where upload_id = ? order by position limit ?", [
        uploadId,
        chunksAtOnce,
      ]),
    );
    if (affectedRows < chunksAtOnce) return true;
  }
}
