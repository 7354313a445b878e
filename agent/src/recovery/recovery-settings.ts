import { isJsonObject, type JsonObject } from "../json.js";

/** What an agent may do by itself: start what has stopped; also install again what failed to be installed; also stop what should not run. */
export type RecoveryType = "AUTO_START" | "AUTO_INSTALL_START" | "FULL";

/** How a cluster's agents start components by themselves. */
export interface RecoverySettings {
  readonly type: RecoveryType;
  /** So often in a window. */
  readonly maxCount: number;
  readonly windowMs: number;
  /** At least between two attempts. */
  readonly retryIntervalMs: number;
  /** So often in the life of an agent's process. */
  readonly lifetimeMaxCount: number;
}

/** What `cluster-env` says; `invalid` has the line that says why nothing is recovered. */
export type RecoveryChoice =
  | { readonly kind: "off" }
  | { readonly kind: "on"; readonly settings: RecoverySettings }
  | { readonly kind: "invalid"; readonly reason: string };

const types: readonly string[] = ["AUTO_START", "AUTO_INSTALL_START", "FULL"];
const minuteMs = 60_000;

/**
 * Reads `recovery_*` of `cluster-env` in a configurations document. Off unless `recovery_enabled` is true. Defaults, as Ambari's: FULL, 6
 * times in 60 minutes with 5 between two, 12 in a life.
 */
export function readRecoverySettings(document: JsonObject): RecoveryChoice {
  const configurations = document.configurations;
  const found = isJsonObject(configurations) ? configurations["cluster-env"] : undefined;
  const environment = isJsonObject(found) ? found : {};
  const text = (key: string) => String(environment[key] ?? "").trim();
  if (text("recovery_enabled").toLowerCase() !== "true") return { kind: "off" };

  const problems: string[] = [];
  const invalid = (key: string, what: string) => {
    problems.push(`${key} = ${JSON.stringify(text(key).slice(0, 80))} ${what}`);
  };
  const whole = (key: string, otherwise: number): number => {
    const value = text(key);
    if (value === "") return otherwise;
    if (/^[0-9]{1,9}$/.test(value) && Number(value) > 0) return Number(value);
    invalid(key, "must be a whole number above 0");
    return otherwise;
  };
  const type = text("recovery_type").toUpperCase() || "FULL";
  if (!types.includes(type)) invalid("recovery_type", `is none of ${types.join(", ")}`);
  const maxCount = whole("recovery_max_count", 6);
  const window = whole("recovery_window_in_minutes", 60);
  const interval = whole("recovery_retry_interval", 5);
  const lifetimeMaxCount = whole("recovery_lifetime_max_count", 12);
  if (problems.length === 0 && interval >= window) {
    invalid("recovery_retry_interval", `must be less than recovery_window_in_minutes, ${window}`);
  }
  if (problems.length === 0 && lifetimeMaxCount < maxCount) {
    invalid("recovery_lifetime_max_count", `must not be less than recovery_max_count, ${maxCount}`);
  }
  const [reason] = problems;
  if (reason !== undefined) return { kind: "invalid", reason };
  return {
    kind: "on",
    settings: {
      type: type as RecoveryType,
      ...{ maxCount, lifetimeMaxCount },
      windowMs: window * minuteMs,
      retryIntervalMs: interval * minuteMs,
    },
  };
}
