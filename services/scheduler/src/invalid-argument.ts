import { Code, ConnectError } from "@connectrpc/connect";

/** An INVALID_ARGUMENT error that names the field; `problem` names the value and the way out. */
export function invalidArgument(field: string, problem: string): ConnectError {
  return new ConnectError(`${field}: ${problem}`, Code.InvalidArgument);
}
