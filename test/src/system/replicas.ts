import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DescService } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import type { ServiceName } from "@howdah/launcher/service-unit";
import type { Unit } from "@howdah/launcher/unit";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { DispatcherService } from "@howdah/proto/howdah/v1/dispatcher_service";
import { Status } from "@howdah/proto/howdah/v1/status";
import type { Lease } from "@howdah/proto/howdah/v1/store_leases";
import { createRpcTransport } from "@howdah/rpc/transport";
import { type Fleet, ran, tasksOf, until } from "./fleet.js";

/** Calls one process of a service, past the gateway; the connection is closed afterwards. */
export async function directly<S extends DescService, T>(
  unit: Unit,
  service: S,
  call: (client: Client<S>) => Promise<T>,
): Promise<T> {
  const transport = createRpcTransport({ address: unit.addresses.main ?? "" });
  try {
    return await call(createClient(service, transport));
  } finally {
    transport.close();
  }
}

/** The lease by which a scheduler leads. */
export async function schedulerLease({ installation }: Fleet): Promise<Lease> {
  return until("the scheduler's lease", async () => {
    const { leases } = await anyStore(installation.services["command-store"]);
    return leases.find(({ name, holder }) => name === "scheduler" && holder !== "");
  });
}

async function anyStore(stores: readonly Unit[]) {
  for (const store of stores) {
    try {
      return await directly(store, CommandStoreService, (client) => client.listLeases({}));
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Unavailable) throw error;
    }
  }
  return { leases: [] };
}

/** The scheduler that leads, and the one that stands by. */
export async function schedulers(fleet: Fleet): Promise<{ leader: Unit; standby: Unit }> {
  const { holder } = await schedulerLease(fleet);
  const units = fleet.installation.services.scheduler;
  const leader = units.find(({ name }) => holder.startsWith(`${name}/`));
  const standby = units.find((unit) => unit !== leader);
  if (leader === undefined || standby === undefined) throw new Error(`no scheduler is ${holder}`);
  return { leader, standby };
}

/** Waits until another process than `former` leads; gives how long it took. */
export async function nextLeader(fleet: Fleet, former: Lease): Promise<number> {
  const from = performance.now();
  await until("a standby to lead", async () => {
    const { token, holder } = await schedulerLease(fleet);
    return token > former.token && holder !== former.holder;
  });
  return performance.now() - from;
}

/** The hosts whose agents have a session with a dispatcher. */
export async function hostsAt(dispatcher: Unit): Promise<string[]> {
  const { sessions } = await directly(dispatcher, DispatcherService, (client) =>
    client.listSessions({}),
  );
  return sessions.map(({ hostName }) => hostName).sort();
}

/** A process of a service by its number, from 1. */
export function unitOf({ installation }: Fleet, service: ServiceName, n: number): Unit {
  const unit = installation.services[service][n - 1];
  if (unit === undefined) throw new Error(`there is no ${service}-${n}`);
  return unit;
}

/** What a process has written to its log since a moment. */
export function logOf(unit: Unit): { since(): string } {
  const from = readFileSync(unit.logFile).length;
  return { since: () => readFileSync(unit.logFile).subarray(from).toString() };
}

/** A command that runs on hosts until it is told to end. */
export interface Held {
  readonly requestId: bigint;
  release(): void;
  /** How often it ran on a host. */
  runs(host: string): number;
}

/** Runs a command on hosts that writes its name to a log, then waits; resolves when it runs on all. */
export async function startHeld(fleet: Fleet, name: string, names: string[]): Promise<Held> {
  const gate = join(fleet.dir, `gate-${name}`);
  const line = `echo ${name} >> $HOWDAH_PREFIX/ran.log; until [ -e ${gate} ]; do sleep 0.1; done; echo ${name} done`;
  const { request } = await fleet.requests.submitRequest({
    idempotencyKey: name,
    operation: { kind: { case: "adHoc", value: { argv: [line], hosts: { names } } } },
  });
  const requestId = request?.requestId ?? 0n;
  await reaches(fleet, requestId, Status.IN_PROGRESS);
  return {
    requestId,
    release: () => writeFileSync(gate, ""),
    runs: (host) => ran(fleet, host).filter((each) => each === name).length,
  };
}

/** Waits until all tasks of a request have a status. */
export async function reaches(fleet: Fleet, requestId: bigint, status: Status): Promise<void> {
  await until(`the tasks of request ${requestId} to be ${Status[status]}`, async () => {
    const tasks = await tasksOf(fleet, requestId);
    return tasks.every((task) => task.status === status);
  });
}
