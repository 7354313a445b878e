import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import {
  type AlertDefinition,
  AlertDefinitionSchema,
  AlertSourceType,
  type AlertState,
} from "@howdah/proto/howdah/v1/alert";
import { type Alert, AlertService } from "@howdah/proto/howdah/v1/alert_service";
import type { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import type { StackService } from "@howdah/proto/howdah/v1/stack_service";
import { createAlertService } from "../alerts/alert-service.js";
import { openTestDatabase, type TestDatabase } from "./database.js";
import { inMemory } from "./in-memory.js";
import { openFleet, type Wish } from "./sample-cluster.js";
import { sampleStack } from "./sample-fleet.js";
import { openHosts, startStore, type TestStore } from "./store.js";

/** What a host's agent found. */
export interface Found {
  readonly name: string;
  readonly state: AlertState;
  readonly text?: string;
  readonly ageMs?: bigint;
}

/** The cluster `prod` with NAMENODE on h1, SECONDARY_NAMENODE on h2, DATANODE on h1, h2 and h3; all three connected. */
export interface AlertFixture {
  readonly database: TestDatabase;
  readonly store: TestStore;
  readonly fleet: Client<typeof FleetService>;
  readonly stacks: Client<typeof StackService>;
  readonly alerts: Client<typeof AlertService>;
  readonly clusterId: bigint;
  /** A host's session; may be written to. */
  host(name: string): { hostId: bigint; sessionEpoch: bigint };
  /** The id of a definition of the cluster. */
  idOf(name: string): Promise<bigint>;
  /** Records what a host found, and which alerts it has not checked; gives how many changed their state. */
  record(host: string, found: readonly Found[], stale?: readonly string[]): Promise<number>;
  /** A current alert, the first of its name unless a host is given; undefined without one. */
  current(name: string, host?: string): Promise<Alert | undefined>;
  /** Pushes the sample stack with these alerts; those of service AMBARI belong to none. */
  push(alerts: readonly AlertDefinition[]): Promise<void>;
  apply(over?: Wish): Promise<string[]>;
  close(): Promise<void>;
}

/** An alert on DATANODE that runs a script. `over` replaces fields of it. */
export function scriptAlert(
  name: string,
  over: MessageInitShape<typeof AlertDefinitionSchema> = {},
): AlertDefinition {
  return create(AlertDefinitionSchema, {
    name,
    label: name,
    serviceName: "HDFS",
    componentName: "DATANODE",
    intervalMinutes: 1,
    enabled: true,
    sourceType: AlertSourceType.SCRIPT,
    sourceJson: JSON.stringify({ type: "SCRIPT", path: "a.py" }),
    ...over,
  });
}

const services = [
  {
    name: "HDFS",
    components: [
      { name: "NAMENODE", hostNames: ["h1"] },
      { name: "SECONDARY_NAMENODE", hostNames: ["h2"] },
      { name: "DATANODE", hostNames: ["h1", "h2", "h3"] },
    ],
  },
];

/** Starts a fixture whose stack has these alerts. */
export async function openAlertFixture(first: readonly AlertDefinition[]): Promise<AlertFixture> {
  const database = await openTestDatabase();
  const store = await startStore(database.url);
  const { fleet, stacks } = openFleet(database.db);
  const alerts = createClient(
    AlertService,
    inMemory(({ service }) => service(AlertService, createAlertService(database.db))),
  );
  const host = await openHosts(store, ["h1", "h2", "h3"]);
  const push: AlertFixture["push"] = async (all) => {
    const stack = sampleStack();
    for (const service of stack.services) {
      service.requiredServices = [];
      service.alertDefinitions.push(...all.filter((each) => each.serviceName === service.name));
    }
    stack.alertDefinitions.push(...all.filter((each) => each.serviceName === "AMBARI"));
    await stacks.pushStack({ stack });
  };
  const apply: AlertFixture["apply"] = async (over = {}) => {
    const { changes } = await fleet.applyCluster({
      ...{ name: "prod", stack: "SAMPLE/1.0", services },
      ...over,
    });
    return changes;
  };
  await push(first);
  await apply();
  const { cluster } = await fleet.getCluster({ name: "prod" });
  const clusterId = cluster?.clusterId ?? 0n;
  const idOf: AlertFixture["idOf"] = async (name) => {
    const { definitions } = await alerts.listAlertDefinitions({ cluster: "prod", name });
    assert.ok(definitions[0], name);
    return definitions[0].definitionId;
  };
  return {
    ...{ database, store, fleet, stacks, alerts, clusterId, host, idOf, push, apply },
    async record(name, found, stale = []) {
      const results = [];
      for (const { name: definition, ...rest } of found) {
        results.push({ clusterId, definitionId: await idOf(definition), ...rest });
      }
      const staleDefinitionIds = await Promise.all(stale.map(idOf));
      const part = { session: host(name), results, staleDefinitionIds };
      return (await store.client.recordAlerts({ hosts: [part] })).changed;
    },
    async current(name, hostName) {
      const { alerts: found } = await alerts.listAlerts({ cluster: "prod", name });
      return found.find((each) => hostName === undefined || each.hostName === hostName);
    },
    async close() {
      await store.stop();
      await database.close();
    },
  };
}
