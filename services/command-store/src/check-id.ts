import { invalid } from "./invalid.js";

/** Checks an id or a token. */
export function checkId(field: string, value: bigint): void {
  if (value < 1n || value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw invalid(field, value, "is not set, or no id");
  }
}
