import { fromBinary } from "@bufbuild/protobuf";
import { type StackDefinition, StackDefinitionSchema } from "@howdah/proto/howdah/v1/stack";
import { query } from "../database/query.js";
import type { Database } from "../database/together.js";

/** A stack as it is stored. */
export interface StoredStack {
  readonly definition: StackDefinition;
  /** SHA-256 of the serialised definition. */
  readonly digest: string;
}

/** A stack without its contents. */
export interface StackRow {
  readonly name: string;
  readonly version: string;
  readonly digest: string;
  readonly services: readonly string[];
  readonly pushedAt: number;
}

/** A stack; with an empty version, of this name the one pushed last. */
export async function readStack(
  db: Database,
  name: string,
  version: string,
): Promise<StoredStack | undefined> {
  const [row] = await query<{ definition: Buffer; digest: string }>(
    db,
    `select definition, digest from stack where name = ? ${version === "" ? "" : "and version = ?"}
    order by pushed_at desc limit 1`,
    version === "" ? [name] : [name, version],
  );
  return (
    row && {
      definition: fromBinary(StackDefinitionSchema, row.definition),
      digest: row.digest,
    }
  );
}

/** The digest of a stack's definition. */
export async function readStackDigest(
  db: Database,
  name: string,
  version: string,
): Promise<string | undefined> {
  const [row] = await query<{ digest: string }>(
    db,
    "select digest from stack where name = ? and version = ?",
    [name, version],
  );
  return row?.digest;
}

/** All stacks, by name and version. */
export async function listStacks(db: Database): Promise<StackRow[]> {
  const rows = await query<
    Omit<StackRow, "services" | "pushedAt"> & { services: string; pushed_at: number }
  >(db, "select name, version, digest, services, pushed_at from stack order by name, version");
  return rows.map(({ services, pushed_at, ...row }) => ({
    ...row,
    services: JSON.parse(services) as string[],
    pushedAt: pushed_at,
  }));
}
