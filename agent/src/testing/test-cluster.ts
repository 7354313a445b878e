import { createHash } from "node:crypto";
import { create, type MessageInitShape, toJson } from "@bufbuild/protobuf";
import {
  type AlertDefinition,
  AlertDefinitionSchema,
  AlertDefinitionsSchema,
  type AlertResult,
  AlertSourceType,
  AlertState,
  type ClusterAlerts,
  ClusterAlertsSchema,
} from "@howdah/proto/howdah/v1/alert";
import type { Json } from "../json.js";

/** A definition of HDFS's component NAMENODE, every minute; `more` wins. */
export function definitionOf(
  name: string,
  sourceType: AlertSourceType,
  source: Json,
  more: MessageInitShape<typeof AlertDefinitionSchema> = {},
): AlertDefinition {
  return create(AlertDefinitionSchema, {
    ...{ name, sourceType, definitionId: 1n, uuid: `${name}-1`, enabled: true },
    ...{ serviceName: "HDFS", componentName: "NAMENODE", intervalMinutes: 1 },
    sourceJson: typeof source === "string" ? source : JSON.stringify(source),
    ...more,
  });
}

/** Connects to a port of 127.0.0.1. */
export function portDefinition(
  name: string,
  port: number,
  more: MessageInitShape<typeof AlertDefinitionSchema> = {},
): AlertDefinition {
  return definitionOf(
    name,
    AlertSourceType.PORT,
    {
      type: "PORT",
      uri: `127.0.0.1:${port}`,
      reporting: { ok: { text: "port {1} is open" }, critical: { text: "{0} to {1}:{2}" } },
    },
    more,
  );
}

/** What a cluster's documents say. */
export interface TestCluster {
  readonly definitions: readonly AlertDefinition[];
  /** Default web-1. */
  readonly hostName?: string;
  /** Of the host, each as `SERVICE/COMPONENT`; default HDFS/NAMENODE. */
  readonly components?: readonly string[];
  readonly configurations?: Record<string, Record<string, string>>;
  readonly metadata?: Record<string, Json>;
  readonly more?: MessageInitShape<typeof ClusterAlertsSchema>;
}

/** The cluster 7, `c1`; its documents are put where they are fetched from. */
export function clusterOf(put: (bytes: Buffer) => string, cluster: TestCluster): ClusterAlerts {
  const json = (value: unknown) => put(Buffer.from(JSON.stringify(value)));
  const definitions = create(AlertDefinitionsSchema, { definitions: [...cluster.definitions] });
  const components = (cluster.components ?? ["HDFS/NAMENODE"]).map((text) => {
    const [serviceName, componentName] = text.split("/");
    return { serviceName, componentName, hostIds: [7] };
  });
  return create(ClusterAlertsSchema, {
    clusterId: 7n,
    clusterName: "c1",
    definitionsDigest: json(toJson(AlertDefinitionsSchema, definitions)),
    configurationsDigest: json({ configurations: cluster.configurations ?? {} }),
    topologyDigest: json({
      components,
      hosts: [{ hostId: 7, hostName: cluster.hostName ?? "web-1" }],
    }),
    metadataDigest: json(cluster.metadata ?? {}),
    masterComponents: ["NAMENODE"],
    ...cluster.more,
  });
}

/** Puts bytes under their digest. */
export function putInto(map: Map<string, Uint8Array>): (bytes: Buffer) => string {
  return (bytes) => {
    const digest = createHash("sha256").update(bytes).digest("hex");
    map.set(digest, bytes);
    return digest;
  };
}

/** `ID STATE text`. */
export function resultText({ definitionId, state, text }: AlertResult): string {
  return `${definitionId} ${AlertState[state]} ${text}`;
}
