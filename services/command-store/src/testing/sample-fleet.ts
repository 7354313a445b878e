import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  StackDefinition_Category as Category,
  type StackDefinition,
  StackDefinitionSchema,
} from "@howdah/proto/howdah/v1/stack";
import type { Knex } from "knex";
import { execute, query } from "../database/query.js";

/** A stack with two services that need each other's kind of rules: HDFS needs ZOOKEEPER. `over` replaces fields of it. */
export function sampleStack(
  over: MessageInitShape<typeof StackDefinitionSchema> = {},
): StackDefinition {
  return create(StackDefinitionSchema, {
    name: "SAMPLE",
    version: "1.0",
    services: [
      {
        name: "HDFS",
        version: "3.3",
        packageFolder: "stacks/SAMPLE/1.0/services/HDFS/package",
        requiredServices: ["ZOOKEEPER", "KERBEROS"],
        components: [
          { name: "NAMENODE", category: Category.MASTER, cardinality: "1-2" },
          { name: "SECONDARY_NAMENODE", category: Category.MASTER, cardinality: "1" },
          { name: "DATANODE", category: Category.SLAVE, cardinality: "1+" },
          { name: "HDFS_CLIENT", category: Category.CLIENT, cardinality: "0+" },
        ],
        configurationTypes: [
          {
            name: "hdfs-site",
            properties: [
              { name: "dfs.replication", value: "3" },
              { name: "dfs.blocksize", value: "1m", final: true },
            ],
          },
          {
            name: "ssl-server",
            properties: [
              { name: "keystore.key", value: "from-the-stack", secret: true },
              { name: "keystore.password", value: "" },
              { name: "keystore.type", value: "jks" },
            ],
          },
        ],
      },
      {
        name: "ZOOKEEPER",
        version: "3.8",
        packageFolder: "stacks/SAMPLE/1.0/services/ZOOKEEPER/package",
        components: [{ name: "ZOOKEEPER_SERVER", category: Category.MASTER, cardinality: "1+" }],
        configurationTypes: [
          { name: "zoo.cfg", properties: [{ name: "tickTime", value: "2000" }] },
        ],
      },
      {
        name: "MONITOR",
        version: "1",
        components: [{ name: "PROBE", category: Category.SLAVE, cardinality: "ALL" }],
      },
    ],
    configurationTypes: [
      { name: "cluster-env", properties: [{ name: "minimum_free_mb", value: "512" }] },
    ],
    ...over,
  });
}

/** Makes hosts as if agents had registered from them, disconnected by now. Returns the id of each by its name. */
export async function addHosts(
  db: Knex,
  hostNames: readonly string[],
  labels: Readonly<Record<string, string>> = {},
  facts: Readonly<Record<string, unknown>> = {},
): Promise<Map<string, number>> {
  await execute(
    db,
    `insert into host (host_name, agent_id, journal_id, boot_id, agent_version, labels, facts, registered_at)
    values ?`,
    [
      hostNames.map((name) => [
        name,
        `agent-${name}`,
        "journal",
        "boot",
        "0.1.0",
        JSON.stringify(labels),
        JSON.stringify(facts),
        1_700_000_000_000,
      ]),
    ],
  );
  const rows = await query<{ host_id: number; host_name: string }>(
    db,
    "select host_id, host_name from host where host_name in (?)",
    [hostNames],
  );
  return new Map(rows.map((row) => [row.host_name, row.host_id]));
}
