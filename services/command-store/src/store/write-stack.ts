import { toBinary } from "@bufbuild/protobuf";
import { type StackDefinition, StackDefinitionSchema } from "@howdah/proto/howdah/v1/stack";
import type { Knex } from "knex";
import { sha256Hex } from "../canonical-json.js";
import { bytes, execute, query } from "../database/query.js";
import { inTransaction } from "../database/transaction.js";
import { packagesOfStack } from "./packages-of-stack.js";
import { touchPackages } from "./put-package.js";
import type { StackRow } from "./read-stack.js";

/** Stores a definition over one of the same name and version. `replaced` is true when that one was different. */
export async function writeStack(
  db: Knex,
  stack: StackDefinition,
): Promise<{ row: StackRow; replaced: boolean }> {
  const { name, version } = stack;
  // A definition has no maps, so equal ones have equal bytes.
  const definition = bytes(toBinary(StackDefinitionSchema, stack));
  const digest = sha256Hex(definition);
  const services = stack.services.map((service) => service.name).sort();
  return inTransaction(db, async (trx) => {
    const [old] = await query<{ digest: string }>(
      trx,
      "select digest from stack where name = ? and version = ?",
      [name, version],
    );
    // "Pushed last" must not depend on how the clocks of two replicas agree.
    const [last] = await query<{ pushed_at: number | null }>(
      trx,
      "select max(pushed_at) as pushed_at from stack where name = ?",
      [name],
    );
    const pushedAt = Math.max(Date.now(), (last?.pushed_at ?? 0) + 1);
    await execute(
      trx,
      `insert into stack (name, version, digest, services, definition, pushed_at) values (?, ?, ?, ?, ?, ?)
      on duplicate key update digest = values(digest), services = values(services),
        definition = values(definition), pushed_at = values(pushed_at)`,
      [name, version, digest, JSON.stringify(services), definition, pushedAt],
    );
    await touchPackages(trx, [...packagesOfStack(stack).keys()]);
    const replaced = old !== undefined && old.digest !== digest;
    return { row: { name, version, digest, services, pushedAt }, replaced };
  });
}
