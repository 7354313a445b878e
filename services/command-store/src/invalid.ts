import { Code, ConnectError } from "@connectrpc/connect";

/** The error of a field whose value cannot be: one line with the field, the value and what is wrong with it. */
export function invalid(field: string, value: unknown, problem: string): ConnectError {
  const shown = typeof value === "string" ? `"${value.slice(0, 100)}"` : String(value);
  return new ConnectError(`${field} ${shown} ${problem}`, Code.InvalidArgument);
}

/** The error of a request, in words that name the field, the value and the way out. */
export function invalidArgument(message: string): ConnectError {
  return new ConnectError(message, Code.InvalidArgument);
}
