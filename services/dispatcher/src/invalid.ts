import { Code, ConnectError } from "@connectrpc/connect";

/** The error of a call, in words that name the field, the value and the way out. */
export function invalid(what: string): ConnectError {
  return new ConnectError(what, Code.InvalidArgument);
}
