import type { Knex } from "knex";
import type { Connection } from "mysql2";
import { isGuardError, StaleReadError } from "./database-errors.js";
import { onlyIf } from "./guard.js";
import type { Answer, Statement } from "./statement.js";
import { sendTogether, type Transaction } from "./together.js";

/** A transaction and its ends, of which there is one: committed or not, it must be closed. */
export interface OpenedTransaction {
  readonly trx: Transaction;
  /** Commits what was done, with what waits. Nothing when it is done already, or was never begun. */
  commit(): Promise<void>;
  /** Gives the connection back; undoes what was not committed. Never throws. */
  close(): Promise<void>;
}

/**
 * Takes a connection for a transaction. Nothing is sent before there is a statement to go with it: a round trip costs about as much as
 * most statements. `before`: what comes before BEGIN.
 */
export async function openTransaction(
  db: Knex,
  before: readonly string[] = [],
): Promise<OpenedTransaction> {
  const connection: Connection = await db.client.acquireConnection();
  let waiting: Statement[] = [...before, "begin"].map(textOnly);
  let begun = false;
  let done = false;

  /** Sends what waits, then these, and gives the answers of these. */
  async function send(
    statements: readonly Statement[],
    ...after: readonly Statement[]
  ): Promise<Answer[]> {
    const before = waiting.flatMap(guarded);
    const asked = statements.map(guarded);
    const all = [...before, ...asked.flat(), ...after];
    waiting = [];
    if (all.length === 0) return [];
    begun = true;
    const answers = await sendTogether(db, all, connection).catch((error: unknown) => {
      throw isGuardError(error) ? new StaleReadError("something is not as it was read") : error;
    });
    let at = before.length;
    return asked.map((group) => {
      const answer = answers[at] as Answer;
      at += group.length;
      return answer;
    });
  }

  async function finish(statements: readonly Statement[]): Promise<Answer[]> {
    const answers = await send(statements, textOnly("commit"));
    done = true;
    return answers;
  }

  return {
    trx: {
      send,
      finish,
      later(statements) {
        waiting.push(...statements);
      },
      async connection() {
        await send([]);
        return connection;
      },
    },
    async commit() {
      const isEmpty = !begun && waiting.length === before.length + 1;
      if (!done && !isEmpty) await finish([]);
    },
    async close() {
      try {
        // A statement that failed has left what came before it open, that of its own round trip too.
        if (begun && !done) await sendTogether(db, [textOnly("rollback")], connection);
      } catch {
        // What is open on it nobody knows.
        connection.destroy();
      } finally {
        await db.client.releaseConnection(connection);
      }
    },
  };
}

/** A statement, and what keeps those after it from being done when it has not matched its rows. */
function guarded(statement: Statement): Statement[] {
  if (statement.rows === undefined) return [statement];
  return [statement, onlyIf({ sql: "row_count() = ?", bindings: [statement.rows] })];
}

function textOnly(sql: string): Statement {
  return { sql, bindings: [] };
}
