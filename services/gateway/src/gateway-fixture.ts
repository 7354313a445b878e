// What the gateway's tests share: a service behind it with one method of each kind, and a gateway before it.

import { once } from "node:events";
import type { TestContext } from "node:test";
import {
  clone,
  create,
  createFileRegistry,
  type DescService,
  setExtension,
} from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  type MethodDescriptorProto,
  MethodOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { EchoService } from "@howdah/proto/howdah/rpc/test/v1/echo";
import { Access, access } from "@howdah/proto/howdah/v1/access";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { DispatcherService } from "@howdah/proto/howdah/v1/dispatcher_service";
import { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import { RequestService } from "@howdah/proto/howdah/v1/request_service";
import { StackService } from "@howdah/proto/howdah/v1/stack_service";
import { createRpcServer } from "@howdah/rpc/server";
import { pino } from "pino";
import { type GatewayOptions, startGateway } from "./gateway.js";
import { createInnerService, type InnerService } from "./inner-service.js";

const log = pino({ level: process.env.TEST_LOG ?? "silent" });

/** What the service behind saw. */
export interface Seen {
  /** The pieces of the last package. */
  pieces: number[];
  /** What was left of the last call's deadline. */
  timeoutMs: number | undefined;
  /** The id of the last call. */
  callId: string | null;
  /** How many streams are being served. */
  open: number;
  /** Resolves when the number of open streams is this. */
  whenOpen(count: number): Promise<void>;
}

/** Serves a little of each service until the test ends. */
export async function startInner(t: TestContext) {
  const changed = new EventTarget();
  const seen: Seen = {
    pieces: [],
    timeoutMs: undefined,
    callId: null,
    open: 0,
    async whenOpen(count) {
      while (seen.open !== count) await once(changed, "change");
    },
  };
  const count = (step: number) => {
    seen.open += step;
    changed.dispatchEvent(new Event("change"));
  };
  const fleet: Partial<ServiceImpl<typeof FleetService>> = {
    listHosts(_, context) {
      seen.timeoutMs = context.timeoutMs();
      seen.callId = context.requestHeader.get("x-call-id");
      return { hosts: [{ hostId: 7n, hostName: "web-1" }] };
    },
    getHost({ hostName }) {
      const metadata = { "content-type": "text/html", "x-inner": "1" };
      throw new ConnectError(`there is no host "${hostName}"`, Code.NotFound, metadata);
    },
    async getCluster(_, context) {
      count(1);
      if (!context.signal.aborted) await once(context.signal, "abort");
      count(-1);
      throw context.signal.reason;
    },
  };
  const store: Partial<ServiceImpl<typeof CommandStoreService>> = {
    async *watchRequest({ requestId }, context) {
      count(1);
      try {
        yield { request: { requestId, progressPercent: 1 } };
        yield { request: { requestId, progressPercent: 2 } };
        if (requestId === 2n) throw new ConnectError("asked to fail", Code.Aborted);
        if (!context.signal.aborted) await once(context.signal, "abort");
      } finally {
        count(-1);
      }
    },
  };
  const stack: Partial<ServiceImpl<typeof StackService>> = {
    async putPackage(requests) {
      seen.pieces = [];
      for await (const { data } of requests) seen.pieces.push(data.length);
      return { size: BigInt(seen.pieces.reduce((sum, length) => sum + length, 0)) };
    },
  };
  const server = createRpcServer({ name: "inner", log })
    .add(FleetService, fleet)
    .add(CommandStoreService, store)
    .add(StackService, stack)
    .add(EchoService, {
      async *converse(requests) {
        for await (const { text } of requests) yield { text };
      },
    });
  const address = await server.listen("127.0.0.1:0");
  t.after(() => server.drain());
  return { address, seen, server };
}

/** Starts a gateway until the test ends. Its scheduler is not there, unless given. */
export async function startTestGateway(
  t: TestContext,
  storeAddress: string,
  options: Partial<GatewayOptions> & { schedulerAddress?: string } = {},
) {
  const inner = (name: string, address: string): InnerService => {
    const service = createInnerService({ name, address, addressOption: name });
    t.after(() => service.transport.close());
    return service;
  };
  const scheduler = inner("scheduler", options.schedulerAddress ?? "127.0.0.1:1");
  const store = inner("command store", storeAddress);
  const gateway = await startGateway({
    log,
    listen: "127.0.0.1:0",
    routes: [
      [RequestService, scheduler],
      [CommandStoreService, store],
      [FleetService, store],
      [StackService, store],
      [exposedEcho, store],
    ],
    refused: [DispatcherService],
    drainGraceMs: 200,
    ...options,
  });
  t.after(() => gateway.drain());
  return { gateway, url: `http://${gateway.address}` };
}

/** The echo service as if its methods were for operators: the product has no bidirectional method that is. */
export const exposedEcho: DescService = exposed(EchoService);

function exposed(service: DescService): DescService {
  const file = clone(FileDescriptorProtoSchema, service.file.proto);
  const allow = (method: MethodDescriptorProto) => {
    method.options ??= create(MethodOptionsSchema);
    setExtension(method.options, access, Access.VIEWER);
  };
  for (const { method } of file.service) method.forEach(allow);
  const found = createFileRegistry(
    file,
    (name) => service.file.dependencies.find((one) => one.proto.name === name)?.proto,
  ).getService(service.typeName);
  if (found === undefined) throw new Error(`no ${service.typeName}`);
  return found;
}
