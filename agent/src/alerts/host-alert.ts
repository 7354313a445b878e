import type { AlertDefinition } from "@howdah/proto/howdah/v1/alert";
import { isJsonObject, type Json, type JsonObject } from "../json.js";

/** A definition that this host watches. */
export interface HostAlert {
  readonly clusterId: bigint;
  readonly clusterName: string;
  readonly definition: AlertDefinition;
  /** How often a state that is not OK is told again, at most. */
  readonly tolerance: number;
}

/** Names the alert among those of all clusters. */
export function alertKey({ clusterId, definition }: Pick<HostAlert, "clusterId" | "definition">) {
  return `${clusterId}/${definition.definitionId}`;
}

/** What a check found out: the state, and what the texts of the definition may name. */
export interface Found {
  readonly state: "OK" | "WARNING" | "CRITICAL" | "UNKNOWN" | "SKIPPED";
  readonly args: readonly Json[];
  /** The text as it is, where the definition has no say in it. */
  readonly text?: string;
  /** The template where the definition has none. */
  readonly template?: string;
  /** More for the log, such as what a script wrote to stderr. */
  readonly detail?: string;
}

/** `source` of Ambari's definition; undefined when it is no JSON object. */
export function sourceOf({ sourceJson }: AlertDefinition): JsonObject | undefined {
  try {
    const source = JSON.parse(sourceJson) as Json;
    return isJsonObject(source) ? source : undefined;
  } catch {
    return undefined;
  }
}

/** `value` of `source.reporting.STATE`, or another number there. */
export function reportingNumber(
  source: JsonObject,
  state: "ok" | "warning" | "critical",
  key = "value",
): number | undefined {
  const { reporting } = source;
  const part = isJsonObject(reporting) ? reporting[state] : undefined;
  return isJsonObject(part) ? numberOf(part[key]) : undefined;
}

/** The text of `source.reporting.STATE`. */
export function reportingText(source: JsonObject, state: string): string | undefined {
  const { reporting } = source;
  const part = isJsonObject(reporting) ? reporting[state.toLowerCase()] : undefined;
  return isJsonObject(part) && typeof part.text === "string" ? part.text : undefined;
}

/** A number, also one that is written as text. */
export function numberOf(value: Json | undefined): number | undefined {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : undefined;
}

/** `value` of one of `source.parameters`. */
export function parameterOf(source: JsonObject, name: string): Json | undefined {
  const { parameters } = source;
  if (!Array.isArray(parameters)) return undefined;
  const found = (parameters as readonly Json[])
    .filter(isJsonObject)
    .find((each) => each.name === name);
  return found?.value;
}
