import type { Statement } from "./statement.js";

/** How a guard begins, in its SQL and in what both servers say about it. */
export const guardHead = "pow(10,if(";

/**
 * Has what is sent behind it in a transaction done, COMMIT too, only when a condition holds: else the transaction is run again
 * (`StaleReadError`). For what nobody looks at before COMMIT. A number that is too large is an error of MySQL and MariaDB in every mode
 * (1690).
 */
export function onlyIf({ sql, bindings }: Statement): Statement {
  return { sql: `select ${guardHead}${sql},0,999)) as holds`, bindings };
}
