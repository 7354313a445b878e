/** A value that JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

/** A JSON object, as commands and cached documents are. */
export interface JsonObject {
  readonly [key: string]: Json;
}

/** Whether `value` is an object that is merged key by key, so neither a list nor null. */
export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
