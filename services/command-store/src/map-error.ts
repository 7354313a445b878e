import { Code, ConnectError } from "@connectrpc/connect";
import { isConflict, isUnavailable, reasonOf } from "./database/database-errors.js";

/** What a caller may see of the database's errors; nothing of those that should not be. */
export function mapError(error: unknown): ConnectError | undefined {
  if (isUnavailable(error)) {
    return new ConnectError(`the database cannot be reached: ${reasonOf(error)}`, Code.Unavailable);
  }
  if (isConflict(error)) {
    return new ConnectError("too many others change the same rows; send it again", Code.Aborted);
  }
  return undefined;
}
