import type { JsonObject } from "../json.js";
import { type Found, reportingNumber } from "./host-alert.js";

/**
 * What a number means by a definition's thresholds: more is worse when `critical` is not below `warning`, else less is worse. With a
 * threshold for `ok` what is neither is UNKNOWN. A threshold that is not there is never reached.
 */
export function stateOf(value: number, source: JsonObject): Found["state"] {
  const ok = reportingNumber(source, "ok");
  const warning = reportingNumber(source, "warning");
  const critical = reportingNumber(source, "critical");
  const lessIsWorse = warning !== undefined && critical !== undefined && critical < warning;
  const reached = (threshold: number | undefined) =>
    threshold !== undefined && (lessIsWorse ? value <= threshold : value >= threshold);
  if (reached(critical)) return "CRITICAL";
  if (reached(warning)) return "WARNING";
  if (ok === undefined) return "OK";
  return (lessIsWorse ? value <= ok : value >= ok) ? "OK" : "UNKNOWN";
}
