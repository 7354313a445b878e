import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import {
  type ApplyClusterRequestSchema,
  FleetService,
} from "@howdah/proto/howdah/v1/fleet_service";
import { StackService } from "@howdah/proto/howdah/v1/stack_service";
import type { Knex } from "knex";
import { query } from "../database/query.js";
import { createFleetService } from "../fleet/fleet-service.js";
import { createStackService } from "../stacks/stack-service.js";
import { inMemory } from "./in-memory.js";

/** What is asked of ApplyCluster. */
export type Wish = MessageInitShape<typeof ApplyClusterRequestSchema>;

/** Clients of the fleet's and the stacks' services on this database, in this process. */
export function openFleet(db: Knex): {
  fleet: Client<typeof FleetService>;
  stacks: Client<typeof StackService>;
} {
  const transport = inMemory(({ service }) => {
    service(FleetService, createFleetService(db));
    service(StackService, createStackService(db));
  });
  return {
    fleet: createClient(FleetService, transport),
    stacks: createClient(StackService, transport),
  };
}

/** ZOOKEEPER and HDFS of the sample stack on the hosts h1, h2 and h10. `over` replaces fields of it. */
export function hdfs(name: string, over: Wish = {}): Wish {
  return {
    name,
    stack: "SAMPLE/1.0",
    services: [
      { name: "ZOOKEEPER", components: [{ name: "ZOOKEEPER_SERVER", hostNames: ["h1"] }] },
      {
        name: "HDFS",
        components: [
          { name: "NAMENODE", hostNames: ["h1"] },
          { name: "SECONDARY_NAMENODE", hostNames: ["h2"] },
          { name: "DATANODE", hostNames: ["h1", "H2", "h10"] },
        ],
      },
    ],
    ...over,
  };
}

/** A cluster's documents, as far as tests look. */
export interface Documents {
  configurations: { configurations: Record<string, Record<string, string>> };
  topology: {
    clusterId: number;
    components: { componentName: string; hostIds: number[] }[];
    hosts: { hostName: string; rackName: string; ipv4: string }[];
  };
  metadata: { serviceLevelParams: Record<string, Record<string, unknown>> };
}

/** The documents that a cluster's row names, as agents would fetch them. */
export async function readDocuments(db: Knex, name: string): Promise<Documents> {
  const [row] = await query<Record<string, string>>(db, "select * from cluster where name = ?", [
    name,
  ]);
  const { stacks } = openFleet(db);
  const read = async (digest: string | undefined): Promise<unknown> => {
    const parts: Uint8Array[] = [];
    for await (const { data } of stacks.readPackage({ digest: digest ?? "" })) parts.push(data);
    return JSON.parse(Buffer.concat(parts).toString());
  };
  return {
    configurations: await read(row?.configurations_digest),
    topology: await read(row?.topology_digest),
    metadata: await read(row?.metadata_digest),
  } as Documents;
}
