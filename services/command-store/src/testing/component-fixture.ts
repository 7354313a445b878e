import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import type { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import type { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import type { RequestOptionsSchema } from "@howdah/proto/howdah/v1/operation";
import { StackDefinition_Category as Category } from "@howdah/proto/howdah/v1/stack";
import type { RoleCommand } from "@howdah/proto/howdah/v1/status";
import type { TaskReportSchema } from "@howdah/proto/howdah/v1/store_reports";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { execute, query } from "../database/query.js";
import { openTestDatabase, type TestDatabase } from "./database.js";
import { hdfs, openFleet, type Wish } from "./sample-cluster.js";
import { sampleStack } from "./sample-fleet.js";
import { createSample, openHosts, startStore, type TestStore } from "./store.js";

/** A task of a test, and what may happen to it. */
export interface ComponentTask {
  readonly taskId: bigint;
  readonly requestId: bigint;
  /** What the scheduler decides about its attempt. Default attempt: 1. */
  transit(event: TaskEvent, attempt?: number): Promise<void>;
  /** What its agent says. Default attempt: 1. */
  report(event: TaskEvent, attempt?: number): Promise<void>;
  /** The report, not sent yet. */
  word(event: TaskEvent, attempt?: number): MessageInitShape<typeof TaskReportSchema>;
}

/** A row of host_component as tests look at it. */
export interface ComponentRow {
  readonly desired: ComponentState;
  readonly current: ComponentState;
  readonly changedAt: number;
  readonly bindingId: number;
}

/** The cluster `prod` of the sample stack, with HDFS and ZOOKEEPER on h1 and h2, both connected. */
export interface ComponentFixture {
  readonly database: TestDatabase;
  readonly store: TestStore;
  readonly fleet: Client<typeof FleetService>;
  readonly clusterId: bigint;
  /** A host's session; may be written to. */
  host(name: string): { hostId: bigint; sessionEpoch: bigint };
  /** Writes a current state, past all rules. */
  set(component: string, host: string, state: ComponentState): Promise<void>;
  row(component: string, host: string): Promise<ComponentRow>;
  stateOf(component: string, host: string): Promise<ComponentState>;
  /** Records a status as said on the host's session; gives how many changed. */
  say(
    component: string,
    host: string,
    state: ComponentState,
    over?: { sessionEpoch?: bigint },
  ): Promise<number>;
  /** Makes a request of the cluster with one task. */
  request(
    component: string,
    host: string,
    roleCommand: RoleCommand,
    more?: { customCommand?: string; options?: MessageInitShape<typeof RequestOptionsSchema> },
  ): Promise<ComponentTask>;
  /** Applies the cluster again, changed. */
  apply(over: Wish): Promise<void>;
  /** Pushes the sample stack again, with these clients besides HDFS_CLIENT, and these dependencies of services on other types. */
  pushStack(options: {
    readonly clients: readonly string[];
    readonly dependencies?: Readonly<Record<string, string[]>>;
    /** Components that agents start by themselves. Default: none. */
    readonly autoStarted?: readonly string[];
  }): Promise<void>;
  close(): Promise<void>;
}

const services = [
  { name: "ZOOKEEPER", components: [{ name: "ZOOKEEPER_SERVER", hostNames: ["h1"] }] },
  {
    name: "HDFS",
    components: [
      { name: "NAMENODE", hostNames: ["h1"] },
      { name: "SECONDARY_NAMENODE", hostNames: ["h2"] },
      { name: "DATANODE", hostNames: ["h1", "h2"] },
      { name: "HDFS_CLIENT", hostNames: ["h1"] },
    ],
  },
];

/** Starts a fixture. */
export async function openComponentFixture(): Promise<ComponentFixture> {
  const database = await openTestDatabase();
  const store = await startStore(database.url);
  const { fleet, stacks } = openFleet(database.db);
  const host = await openHosts(store, ["h1", "h2"]);
  const pushStack: ComponentFixture["pushStack"] = async ({
    clients,
    dependencies = {},
    autoStarted = [],
  }) => {
    const stack = sampleStack();
    for (const service of stack.services) {
      service.configurationDependencies = dependencies[service.name] ?? [];
    }
    for (const component of stack.services.flatMap((service) => service.components)) {
      if (clients.includes(component.name)) component.category = Category.CLIENT;
      component.recoveryEnabled = autoStarted.includes(component.name);
    }
    await stacks.pushStack({ stack });
  };
  await pushStack({ clients: [] });
  const apply = async (over: Wish) => {
    await fleet.applyCluster(hdfs("prod", { services, ...over }));
  };
  await apply({});
  const { cluster } = await fleet.getCluster({ name: "prod" });
  const clusterId = cluster?.clusterId ?? 0n;

  async function row(component: string, name: string): Promise<ComponentRow> {
    const [found] = await query<ComponentRow>(
      database.db,
      `select desired_state + 0 as desired, current_state + 0 as current, changed_at as changedAt, binding_id as bindingId
      from host_component where cluster_id = ? and component_name = ? and host_name = ?`,
      [clusterId, component, name],
    );
    assert.ok(found, `${component} on ${name}`);
    return found;
  }

  return {
    database,
    store,
    fleet,
    clusterId,
    host,
    row,
    apply,
    pushStack,
    async set(component, name, state) {
      await execute(
        database.db,
        "update host_component set current_state = ? where component_name = ? and host_name = ?",
        [state, component, name],
      );
    },
    async stateOf(component, name) {
      return (await row(component, name)).current;
    },
    async say(component, name, state, over = {}) {
      const status = { ...host(name), clusterId, componentName: component, state, ...over };
      return (await store.client.recordComponentStatuses({ statuses: [status] })).changed;
    },
    async request(component, name, roleCommand, { customCommand = "", options = {} } = {}) {
      const { hostId } = host(name);
      const role = { role: component, hosts: [hostId], roleCommand, customCommand };
      const { request, taskIds } = await createSample(store, {
        stages: [[role]],
        header: { clusterId, options },
      });
      const requestId = request?.requestId ?? 0n;
      const taskId = taskIds[0] ?? 0n;
      const word: ComponentTask["word"] = (event, attempt = 1) => ({
        ...{ taskId, attempt, event },
        ...host(name),
      });
      return {
        taskId,
        requestId,
        word,
        async transit(event, attempt = 1) {
          const sessionEpoch = event === TaskEvent.RELEASED ? host(name).sessionEpoch : 0n;
          const transitions = [{ taskId, attempt, event, hostId, sessionEpoch }];
          const { results } = await store.client.recordTransitions({
            schedulerToken: 1n,
            requests: [{ requestId, newRun: event === TaskEvent.RETRIED, transitions }],
          });
          assert.equal(results[0]?.changes.length, 1, TaskEvent[event]);
        },
        async report(event, attempt = 1) {
          await store.client.recordReports({ reports: [word(event, attempt)] });
        },
      };
    },
    async close() {
      await store.stop();
      await database.close();
    },
  };
}
