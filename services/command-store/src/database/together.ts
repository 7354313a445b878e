import type { Knex } from "knex";
import { type Binding, type Executed, send } from "./query.js";
import { untilItHolds } from "./transaction.js";

/** A statement and the values of its `?`. */
export interface Statement {
  readonly sql: string;
  readonly bindings: readonly Binding[];
}

/** What stands between statements that go together. */
export const between = ";\n";

/** The rows of a SELECT, what any other statement did. */
export type Answer<Row = unknown> = readonly Row[] | Executed;

/**
 * Sends statements together and gives the answer of each, in order: what takes a round trip each otherwise takes one. The first that
 * fails ends it. Inside a transaction, or for one that is a transaction by itself.
 */
export async function together(
  db: Knex,
  statements: readonly Statement[],
  connection?: unknown,
): Promise<Answer[]> {
  const sql = statements.map((statement) => statement.sql).join(between);
  const bindings = statements.flatMap((statement) => statement.bindings);
  const [answers] = (await send(db, sql, bindings, connection)) as [Answer[] | Answer];
  return statements.length === 1 ? [answers as Answer] : (answers as Answer[]);
}

/** A write among others that go together, and what its answer must be. */
export interface Write {
  readonly statement: Statement;
  /** Throws when what it did is not what it should have done. Default: nothing is checked. */
  readonly check?: (done: Executed) => void;
}

/** Sends writes together, then looks at the answers; `read` is read after them, in the same round trip. */
export async function writeTogether<Row = unknown>(
  trx: Knex.Transaction,
  writes: readonly Write[],
  read?: Statement,
): Promise<readonly Row[]> {
  const statements = writes.map(({ statement }) => statement);
  if (read !== undefined) statements.push(read);
  if (statements.length === 0) return [];
  const answers = await together(trx, statements);
  for (const [at, { check }] of writes.entries()) check?.(answers[at] as Executed);
  return read === undefined ? [] : (answers.at(-1) as readonly Row[]);
}

/**
 * Runs statements as one transaction in one round trip, from its beginning to its commit. Runs it again as `inTransaction` does: after
 * a COMMIT whose answer was lost it may meet its own effect. Only for what needs no decision in between.
 */
export function commitTogether(db: Knex, statements: readonly Statement[]): Promise<Answer[]> {
  return untilItHolds(async () => {
    const connection: unknown = await db.client.acquireConnection();
    try {
      const all = [{ sql: "begin", bindings: [] }, ...statements, { sql: "commit", bindings: [] }];
      const answers = await together(db, all, connection);
      return answers.slice(1, -1);
    } catch (error) {
      // The statement that failed has left what came before it open. A connection that cannot even do this is thrown away by the pool.
      await send(db, "rollback", [], connection).catch(() => undefined);
      throw error;
    } finally {
      await db.client.releaseConnection(connection);
    }
  });
}
