import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { endProcessesBelow } from "@howdah/launcher/find-processes";
import {
  type Installation,
  type InstallationOptions,
  startInstallation,
} from "@howdah/launcher/start-installation";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import type { RequestOptionsSchema } from "@howdah/proto/howdah/v1/operation";
import type { Request, Task } from "@howdah/proto/howdah/v1/request";
import { RequestService } from "@howdah/proto/howdah/v1/request_service";
import { ScheduleService } from "@howdah/proto/howdah/v1/schedule_service";
import { StackService } from "@howdah/proto/howdah/v1/stack_service";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { loadStack } from "@howdah/stack/load-stack";
import { packagePieces } from "@howdah/stack/package-pieces";
import { ownDatabase } from "./own-database.js";

/** The repository. */
export const root = fileURLToPath(new URL("../../..", import.meta.url));

/** A whole installation for a test: real processes, clients as an operator has them. */
export interface Fleet {
  readonly dir: string;
  readonly installation: Installation;
  readonly requests: Client<typeof RequestService>;
  readonly schedules: Client<typeof ScheduleService>;
  readonly store: Client<typeof CommandStoreService>;
  readonly fleet: Client<typeof FleetService>;
  readonly stacks: Client<typeof StackService>;
  /** The gateway, `http://…`. */
  readonly url: string;
  /** The folder of a host's agent. */
  prefix(host: string): string;
  stop(): Promise<void>;
}

/** Submits a command line to be run on hosts, and returns the request's id. */
export async function runLine(
  fleet: Fleet,
  line: string,
  names: string[],
  options: MessageInitShape<typeof RequestOptionsSchema> = {},
): Promise<bigint> {
  const { request } = await fleet.requests.submitRequest({
    operation: { kind: { case: "adHoc", value: { argv: [line], hosts: { names } } } },
    options,
  });
  assert.ok(request);
  return request.requestId;
}

/** Waits until a condition holds, asking again and again; fails with what was waited for. */
export async function until<T>(
  what: string,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    assert.ok(performance.now() < deadline, `waited ${timeoutMs} ms for ${what}`);
    await sleep(20);
  }
}

/** Starts an installation with agents on host1, host2 … and waits until all have registered. */
export async function startFleet(options: {
  agents: number;
  env?: Record<string, string>;
  /** See `InstallationOptions`. */
  replicas?: InstallationOptions["replicas"];
  envOf?: InstallationOptions["envOf"];
  /** A MariaDB that the test may kill, whatever HOWDAH_TEST_DATABASE_URL says. */
  privateDatabase?: boolean;
}): Promise<Fleet> {
  const dir = mkdtempSync(join(tmpdir(), "howdah-test-"));
  const database = options.privateDatabase ? undefined : await ownDatabase();
  const installation = await startInstallation({
    dir,
    ...(database && { databaseUrl: database.url }),
    ports: "free",
    durable: true,
    agents: options.agents,
    ...(options.replicas && { replicas: options.replicas }),
    ...(options.envOf && { envOf: options.envOf }),
    env: { HOWDAH_LOG_LEVEL: "info", ...options.env },
  }).catch(async (error: unknown) => {
    rmSync(dir, { recursive: true, force: true });
    await database?.drop();
    throw error;
  });
  const url = `http://${installation.gateway.addresses.main}`;
  const transport = createConnectTransport({ baseUrl: url, httpVersion: "2" });
  const fleet: Fleet = {
    dir,
    installation,
    requests: createClient(RequestService, transport),
    schedules: createClient(ScheduleService, transport),
    store: createClient(CommandStoreService, transport),
    fleet: createClient(FleetService, transport),
    stacks: createClient(StackService, transport),
    url,
    prefix: (host) => join(dir, "agents", host),
    async stop() {
      await installation.stop();
      await endProcessesBelow(dir);
      rmSync(dir, { recursive: true, force: true });
      await database?.drop();
    },
  };
  try {
    await healthyHosts(fleet, options.agents);
  } catch (error) {
    await fleet.stop();
    throw error;
  }
  return fleet;
}

/** Waits until so many hosts are connected. */
export async function healthyHosts({ fleet }: Fleet, count: number): Promise<void> {
  await until(`${count} hosts to be connected`, async () => {
    const { hosts } = await fleet.listHosts({});
    return hosts.filter(({ connected }) => connected).length >= count;
  });
}

/** Pushes a stack from its folder, its packages with it. */
export async function pushStack({ stacks }: Pick<Fleet, "stacks">, folder: string): Promise<void> {
  const { definition, packages } = await loadStack(folder);
  for (const one of packages) await stacks.putPackage(packagePieces(one));
  await stacks.pushStack({ stack: definition });
}

/** Pushes the TEST stack and makes the cluster `test`: LEADER on host1, WORKER on all, STORE_CLIENT on the last. */
export async function applyTestCluster(
  fleet: Pick<Fleet, "stacks" | "fleet">,
  hosts: readonly string[],
): Promise<void> {
  await pushStack(fleet, join(root, "test", "stacks", "TEST", "1.0"));
  await fleet.fleet.applyCluster({
    name: "test",
    stack: "TEST/1.0",
    services: [
      {
        name: "STORE",
        components: [
          { name: "LEADER", hostNames: hosts.slice(0, 1) },
          { name: "WORKER", hostNames: [...hosts] },
          { name: "STORE_CLIENT", hostNames: hosts.slice(-1) },
        ],
      },
    ],
  });
}

/** Tells the stub scripts of a host what to do. */
export function tell(
  fleet: Fleet,
  host: string,
  roleAndCommand: string,
  behaviour: { wait_for?: string; exit?: number; run?: string[] },
): void {
  const path = join(fleet.prefix(host), "behaviour", `${roleAndCommand}.json`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, JSON.stringify(behaviour));
}

/** What the stub scripts of a host wrote down: a line `COMMAND ROLE TASK` for each run. */
export function ran(fleet: Fleet, host: string): string[] {
  const path = join(fleet.prefix(host), "ran.log");
  return existsSync(path) ? readFileSync(path, "utf8").trimEnd().split("\n") : [];
}

/** Submits an operation on the cluster's services. Goes by no state of components unless told to: most tests start again and again. */
export async function submit(
  { requests }: Fleet,
  roleCommand: RoleCommand,
  more: {
    services?: string[];
    components?: string[];
    skipServiceChecks?: boolean;
    evenIfDone?: boolean;
  } = {},
): Promise<bigint> {
  const evenIfDone = roleCommand !== RoleCommand.SERVICE_CHECK;
  const value = { cluster: "", roleCommand, evenIfDone, ...more };
  const { request } = await requests.submitRequest({
    operation: { kind: { case: "service", value } },
  });
  assert.ok(request);
  return request.requestId;
}

/** Follows a request until it is over, however often the stream breaks off meanwhile. */
export async function over(
  { store }: Fleet,
  requestId: bigint,
  timeoutMs = 60_000,
): Promise<Request> {
  return until(
    `request ${requestId} to be over`,
    async () => {
      const { request } = await store
        .getRequest({ requestId })
        .catch(() => ({ request: undefined }));
      return request?.progressPercent === 100 ? request : undefined;
    },
    timeoutMs,
  );
}

/** All tasks of a request. */
export async function tasksOf({ store }: Fleet, requestId: bigint): Promise<Task[]> {
  return (await store.listTasks({ requestId, pageSize: 10_000 })).tasks;
}

/** A task's output as text. */
export async function outputOf(
  { store }: Fleet,
  taskId: bigint,
  stream: 1 | 2 | 3 = 1,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const { data } of store.readTaskOutput({ taskId, stream, follow: true })) {
    chunks.push(data);
  }
  return Buffer.concat(chunks).toString();
}
