import { AlertSourceType, AlertState } from "@howdah/proto/howdah/v1/alert";
import type { JsonObject } from "../json.js";
import type { Finding } from "./alert-results.js";
import { checkAms } from "./check-ams.js";
import { checkMetric } from "./check-metric.js";
import { checkPort } from "./check-port.js";
import { checkRecovery, type RecoverySource } from "./check-recovery.js";
import { checkScript, type ScriptContext } from "./check-script.js";
import { checkWeb } from "./check-web.js";
import { AlertDefinitionError } from "./definition-error.js";
import { cleanText, formatText } from "./format-text.js";
import { type Found, type HostAlert, reportingText, sourceOf } from "./host-alert.js";
import type { WatchedCluster } from "./watched-cluster.js";

/** What a check may look at. */
export interface CheckContext {
  /** This host's names in lower case, the first one first tried. */
  readonly hostNames: readonly string[];
  /** The cluster's documents, as a command's JSON has them. */
  readonly root: JsonObject;
  readonly watched: WatchedCluster;
  readonly scripts: ScriptContext;
  /** Default: nothing is ever recovered. */
  readonly recovery?: RecoverySource | undefined;
}

/**
 * Finds out how an alert is. Whatever goes wrong is UNKNOWN with a text that says so.
 * @param signal ends the check; then the promise rejects with its reason
 */
export async function checkAlert(
  alert: HostAlert,
  context: CheckContext,
  signal: AbortSignal,
): Promise<Finding> {
  try {
    const source = sourceOf(alert.definition);
    if (source === undefined) throw new AlertDefinitionError("its source is no JSON object");
    const found = await checkSource(alert, source, context, signal);
    return { state: AlertState[found.state], text: textOf(found, source), detail: found.detail };
  } catch (error) {
    signal.throwIfAborted();
    return unknown(error);
  }
}

/** What is found when it cannot be found out. */
export function unknown(error: unknown): Finding {
  const said = error instanceof Error ? error.message : String(error);
  const text =
    error instanceof AlertDefinitionError
      ? `There is a problem with the alert definition: ${said}`
      : said;
  return { state: AlertState.UNKNOWN, text: cleanText(text) };
}

async function checkSource(
  alert: HostAlert,
  source: JsonObject,
  context: CheckContext,
  signal: AbortSignal,
): Promise<Found> {
  const { sourceType, componentName } = alert.definition;
  switch (sourceType) {
    case AlertSourceType.PORT:
      return checkPort(source, context, signal);
    case AlertSourceType.WEB:
      return checkWeb(source, context, signal);
    case AlertSourceType.METRIC:
      return checkMetric(source, context, signal);
    case AlertSourceType.AMS:
      return checkAms(source, context, signal);
    case AlertSourceType.SCRIPT: {
      const { watched, root, scripts } = context;
      return checkScript(alert, source, watched, root, scripts, signal);
    }
    case AlertSourceType.RECOVERY: {
      const counts = context.recovery?.(alert.clusterId, componentName);
      return checkRecovery(source, componentName, counts);
    }
    default: {
      const type = AlertSourceType[sourceType] ?? sourceType;
      throw new Error(`this agent does not know how to check alerts of type ${type}`);
    }
  }
}

/** The definition's own text wins, except where the check says it all. */
function textOf({ state, args, text, template }: Found, source: JsonObject): string {
  if (text !== undefined) return cleanText(text);
  return formatText(reportingText(source, state) ?? template ?? state, args);
}
