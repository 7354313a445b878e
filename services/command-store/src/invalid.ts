import { Code, ConnectError } from "@connectrpc/connect";

/** The error of a field whose value cannot be: one line with the field, the value and what is wrong with it. */
export function invalid(field: string, value: unknown, problem: string): ConnectError {
  const shown = typeof value === "string" ? `"${value.slice(0, 100)}"` : String(value);
  return new ConnectError(`${field} ${shown} ${problem}`, Code.InvalidArgument);
}
