import { guardHead } from "./guard.js";

/**
 * Thrown inside a transaction when a row was not as the transaction had read it, or another transaction was first.
 * `inTransaction` runs it again with fresh reads.
 */
export class StaleReadError extends Error {
  override readonly name = "StaleReadError";
}

/** The whole transaction was or must be rolled back, and may well succeed when it is run again. */
const conflicts: ReadonlySet<string> = new Set([
  "ER_LOCK_WAIT_TIMEOUT", // 1205
  "ER_LOCK_DEADLOCK", // 1213; Galera's certification failures too, from COMMIT as well
  "ER_CHECKREAD", // 1020: "record has changed since last read", MariaDB with snapshot isolation
  "ER_ERROR_DURING_COMMIT", // 1180
  "ER_TRANSACTION_ROLLBACK_DURING_COMMIT", // 3101: group replication's certification
]);

/** The connection broke: what was sent last may have been done or not. */
const lost: ReadonlySet<string> = new Set([
  "PROTOCOL_CONNECTION_LOST",
  "PROTOCOL_ENQUEUE_AFTER_FATAL_ERROR",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "ER_CONNECTION_KILLED",
  "ER_QUERY_INTERRUPTED", // 1317
  "ER_SERVER_SHUTDOWN", // 1053
  "ER_CLIENT_INTERACTION_TIMEOUT",
]);

/** There is no connection to be had, or the server does not take writes now. */
const away: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOENT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "HANDSHAKE_NO_SSL_SUPPORT",
  "ER_CON_COUNT_ERROR", // 1040
  "ER_UNKNOWN_COM_ERROR", // 1047: a Galera node that is not in its cluster
  "ER_OPTION_PREVENTS_STATEMENT", // 1290: read-only, a replica
  "ER_READ_ONLY_MODE", // 1836
  "ER_ACCESS_DENIED_ERROR",
  "ER_DBACCESS_DENIED_ERROR",
  "ER_BAD_DB_ERROR",
]);

/** MariaDB's errors that the driver has no names for. */
const unnamed: ReadonlyMap<unknown, string> = new Map([[1927, "ER_CONNECTION_KILLED"]]);

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  if ("code" in error && typeof error.code === "string") return error.code;
  return ("errno" in error && unnamed.get(error.errno)) || "";
}

/** Two transactions wanted the same rows: running this one again is the cure. */
export function isConflict(error: unknown): boolean {
  return error instanceof StaleReadError || conflicts.has(codeOf(error));
}

/** The connection broke under a statement. */
export function isLostConnection(error: unknown): boolean {
  if (lost.has(codeOf(error))) return true;
  // "Can't add new command when connection is in closed state" has no code.
  return codeOf(error) === "" && error instanceof Error && "fatal" in error && error.fatal === true;
}

/** The database cannot be reached, or not for writing: nothing is wrong with the call itself. */
export function isUnavailable(error: unknown): boolean {
  if (away.has(codeOf(error)) || isLostConnection(error)) return true;
  return error instanceof Error && error.name === "KnexTimeoutError";
}

/** What `onlyIf` asks for did not hold: nothing behind it was done. */
export function isGuardError(error: unknown): boolean {
  return codeOf(error) === "ER_DATA_OUT_OF_RANGE" && reasonOf(error).includes(guardHead);
}

/** A row with this unique key is there already. */
export function isDuplicate(error: unknown): boolean {
  return codeOf(error) === "ER_DUP_ENTRY";
}

/** What went wrong, for people, without the statement that knex puts in front of it. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ("sqlMessage" in error && typeof error.sqlMessage === "string") return error.sqlMessage;
  // An AggregateError of one failure per address has no message of its own.
  const message = error.message.slice(error.message.lastIndexOf(" - ") + 1).replace(/^- /, "");
  return message || codeOf(error) || error.name;
}
