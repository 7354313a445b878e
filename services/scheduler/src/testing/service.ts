import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { ScriptType } from "@howdah/proto/howdah/v1/command";
import { ClusterSchema, HostSchema, HostState } from "@howdah/proto/howdah/v1/fleet";
import type { OperationSchema } from "@howdah/proto/howdah/v1/operation";
import { RequestService } from "@howdah/proto/howdah/v1/request_service";
import {
  StackDefinition_Category as Category,
  StackDefinitionSchema,
} from "@howdah/proto/howdah/v1/stack";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { createRpcServer } from "@howdah/rpc/server";
import { connectService } from "@howdah/service/connect-service";
import type { LeadOptions } from "../lead.js";
import { createRequestService } from "../request-service.js";
import { StackCache } from "../stack-cache.js";
import type { Leading } from "../submit-request.js";
import { World } from "./world.js";

const script = { script: "scripts/one.py", scriptType: ScriptType.PYTHON };

const usual: [string, string[]][] = [
  ["DB_CLIENT_HOST-START", ["DB_SERVER-START"]],
  ["DB_SERVICE_CHECK-SERVICE_CHECK", ["DB_CLIENT_HOST-START"]],
];

/** A stack with a service of two components and a check; by its rules they start one after the other. */
export function stack(blockers = usual) {
  return create(StackDefinitionSchema, {
    name: "TINY",
    version: "1.0",
    services: [
      {
        name: "DB",
        packageDigest: "db",
        serviceCheck: script,
        components: [
          { name: "DB_SERVER", category: Category.MASTER, commandScript: script },
          { name: "DB_CLIENT_HOST", category: Category.SLAVE, commandScript: script },
        ],
      },
    ],
    roleCommandOrder: [
      {
        name: "general_deps",
        rules: blockers.map(([blocked, by]) => ({ blocked, blockers: by })),
      },
    ],
  });
}

/** A host that has registered; with labels by whether its id is odd. */
export function host(id: number, hostName: string, lost = false) {
  return create(HostSchema, {
    hostId: BigInt(id),
    hostName,
    labels: { rack: `r${id % 2}` },
    state: lost ? HostState.HEARTBEAT_LOST : HostState.HEALTHY,
    ...(lost && { disconnectedAt: timestampFromMs(Date.now() - 60_000) }),
  });
}

/** A scheduler's service on a port of its own, over a store with the cluster `c1` on h1, h2 and h3. It leads unless `standby`. */
export async function serve(
  t: TestContext,
  { standby = false, ...options }: Partial<LeadOptions> & { standby?: boolean } = {},
) {
  const world = await World.start(t);
  const { store } = world;
  store.hosts = [host(1, "h1"), host(2, "h2"), host(3, "h3")];
  store.stack = { stack: stack(), digest: "1" };
  const components = [
    { name: "DB_SERVER", hostNames: ["h1"] },
    { name: "DB_CLIENT_HOST", hostNames: ["h2", "h3"] },
  ];
  store.clusters = [
    create(ClusterSchema, {
      clusterId: 1n,
      name: "c1",
      stack: "TINY/1.0",
      services: [{ name: "DB", components }],
    }),
  ];
  let leading: Leading | undefined;
  if (!standby) leading = { engine: (await world.scheduler(1n, options)).engine, token: 1n };
  const clients = world.clients();
  const server = createRpcServer({ name: "scheduler", log: world.log, drainGraceMs: 100 });
  const service = createRequestService({
    store: clients.store,
    fleet: clients.fleet,
    stacks: new StackCache(clients.stacks),
    leading: () => leading,
  });
  const address = await server.add(RequestService, service).listen("127.0.0.1:0");
  const transport = connectService({ address });
  world.cleanup(() => server.drain());
  world.cleanup(() => transport.close());
  return { world, store, client: createClient(RequestService, transport) };
}

/** An operation to be asked for. */
export type OperationInit = MessageInitShape<typeof OperationSchema>;

/** Starts services of cluster `c1`. */
export function start(more: object = {}): OperationInit {
  const value = { cluster: "c1", roleCommand: RoleCommand.START, ...more };
  return { kind: { case: "service", value } };
}

/** Runs a command line on hosts. */
export function run(names: string[], ...argv: string[]): OperationInit {
  return { kind: { case: "adHoc", value: { hosts: { names }, argv } } };
}

/** Asserts how a call fails. */
export function fails(call: Promise<unknown>, code: Code, message: RegExp): Promise<void> {
  return assert.rejects(call, (error: unknown) => {
    const { code: actual, rawMessage } = ConnectError.from(error);
    assert.equal(Code[actual], Code[code], rawMessage);
    assert.match(rawMessage, message);
    return true;
  });
}
