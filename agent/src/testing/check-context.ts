import { create } from "@bufbuild/protobuf";
import {
  type AlertSourceType,
  AlertState,
  ClusterAlertsSchema,
} from "@howdah/proto/howdah/v1/alert";
import { type CheckContext, checkAlert } from "../alerts/check-alert.js";
import { agentFolders } from "../folders.js";
import type { Json, JsonObject } from "../json.js";
import { silent } from "./test-agent.js";
import { definitionOf } from "./test-cluster.js";

/** Checks an alert of web-1, and resolves with `STATE text`. */
export async function checked(
  sourceType: AlertSourceType,
  source: Json,
  configurations: JsonObject = {},
  more: Partial<CheckContext> = {},
  signal = new AbortController().signal,
): Promise<string> {
  const alert = {
    ...{ clusterId: 7n, clusterName: "c1", tolerance: 1 },
    definition: definitionOf("checked", sourceType, source),
  };
  const { state, text } = await checkAlert(alert, contextOf(configurations, more), signal);
  return `${AlertState[state]} ${text}`;
}

function contextOf(configurations: JsonObject, more: Partial<CheckContext>): CheckContext {
  const none = () => Promise.reject(new Error("nothing can be fetched"));
  const folders = agentFolders("/nowhere");
  const documents = {
    ...{ configurations: {}, topology: {}, metadata: {} },
    ...{ ambariLevelParams: {}, hostLevelParams: {} },
  };
  return {
    hostNames: ["web-1"],
    root: { configurations },
    watched: { cluster: create(ClusterAlertsSchema), documents, definitions: [], alerts: [] },
    scripts: {
      packages: { folder: none, document: none },
      facts: { hostName: "web-1", publicHostName: "web-1", cacheDir: folders.cache },
      ...{ folders, settings: {}, log: silent },
    },
    ...more,
  };
}
