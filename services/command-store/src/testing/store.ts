import { createHash, randomUUID } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import {
  type CreateRequestRequest,
  CreateRequestRequestSchema,
  type CreateRequestResponse,
  type RequestHeaderSchema,
  type TaskReleaseSchema,
  WholeRequestSchema,
} from "@howdah/proto/howdah/v1/store_request_creation";
import type {
  OpenSessionRequestSchema,
  OpenSessionResponse,
} from "@howdah/proto/howdah/v1/store_sessions";
import { createRpcServer } from "@howdah/rpc/server";
import { createRpcTransport } from "@howdah/rpc/transport";
import type { Knex } from "knex";
import { openDatabase } from "../database/database.js";
import { mapError } from "../map-error.js";
import { createCommandStoreService } from "../requests/command-store-service.js";
import { silent } from "./database.js";

/** A replica of the store that a test started, over a real socket. */
export interface TestStore {
  readonly client: Client<typeof CommandStoreService>;
  /** Its own pool. */
  readonly db: Knex;
  stop(): Promise<void>;
}

/** Starts a replica on a database that has the schema. */
export async function startStore(url: string, pool = 10): Promise<TestStore> {
  const db = openDatabase({ url, pool, log: silent });
  const server = createRpcServer({ name: "command-store", log: silent, mapError });
  server.add(CommandStoreService, createCommandStoreService(db, silent));
  const address = await server.listen("127.0.0.1:0");
  const transport = createRpcTransport({ address, ownConnection: true });
  return {
    client: createClient(CommandStoreService, transport),
    db,
    async stop() {
      transport.close();
      await server.drain();
      await db.destroy();
    },
  };
}

/** A host's session, opened with defaults. */
export function openSession(
  { client }: TestStore,
  hostName: string,
  rest: MessageInitShape<typeof OpenSessionRequestSchema> = {},
): Promise<OpenSessionResponse> {
  return client.openSession({
    hostName,
    agentId: `agent of ${hostName}`,
    journalId: `journal of ${hostName}`,
    peerAddress: "127.0.0.1:1",
    dispatcher: "dispatcher/d1",
    dispatcherToken: 1n,
    ...rest,
  });
}

/** Opens sessions of hosts with defaults, and gives what finds a host's own; who opens another one notes its epoch there. */
export async function openHosts(
  store: TestStore,
  names: readonly string[],
): Promise<(name: string) => { hostId: bigint; sessionEpoch: bigint }> {
  const hosts = new Map<string, { hostId: bigint; sessionEpoch: bigint }>();
  for (const name of names) {
    const { hostId, sessionEpoch } = await openSession(store, name);
    hosts.set(name, { hostId, sessionEpoch });
  }
  return (name) => {
    const found = hosts.get(name);
    if (found === undefined) throw new Error(`no session of ${name} was opened`);
    return found;
  };
}

/** A role of a test's stage. */
export interface SampleRole {
  readonly role: string;
  /** The host of each of its tasks. */
  readonly hosts: readonly bigint[];
  /** The batch of each of its tasks. Default: 0. */
  readonly batches?: readonly number[];
  /** Default: 1. */
  readonly factor?: number;
  /** Default: START. */
  readonly roleCommand?: RoleCommand;
  /** Default: none. */
  readonly customCommand?: string;
  readonly blockers?: readonly number[];
  readonly manual?: boolean;
  /** Its tasks have nothing of their own in what they run. */
  readonly bare?: boolean;
  readonly argv?: string[];
  readonly background?: boolean;
}

/** What a request of a test has: stages of roles, each with the hosts of its tasks. */
export interface SampleRequest {
  readonly key?: string;
  /** What the content digest is made of. Default: the key. */
  readonly content?: string;
  readonly token?: bigint;
  readonly header?: MessageInitShape<typeof RequestHeaderSchema>;
  /** Stages; each a list of roles with the hosts of their tasks. */
  readonly stages: readonly (readonly SampleRole[])[];
  /** Tasks a chunk. Default 1,000. */
  readonly chunk?: number;
}

/** SHA-256 of a text. */
export function digestOf(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash("sha256").update(text).digest());
}

/** The stream that makes a request. */
export function* requestParts(sample: SampleRequest): Generator<CreateRequestRequest> {
  const { key = randomUUID(), stages, chunk = 1_000 } = sample;
  const part = (value: NonNullable<MessageInitShape<typeof CreateRequestRequestSchema>["part"]>) =>
    create(CreateRequestRequestSchema, { part: value });
  yield part({
    case: "header",
    value: {
      idempotencyKey: key,
      contentDigest: digestOf(sample.content ?? key),
      context: "a test's request",
      schedulerToken: sample.token ?? 1n,
      ...sample.header,
    },
  });
  for (const [stageId, roles] of stages.entries()) {
    const specs = roles.map(({ role, roleCommand, customCommand = "", factor = 1, ...rest }) => ({
      role,
      roleCommand: roleCommand ?? RoleCommand.START,
      successFactor: factor,
      blockers: [...(rest.blockers ?? [])],
      manual: rest.manual ?? false,
      command: {
        ...{ script: `scripts/${role}.py`, commandParams: { shared: "yes" }, customCommand },
        ...{ argv: rest.argv ?? [], background: rest.background ?? false },
      },
    }));
    yield part({ case: "stage", value: { stageId, roles: specs } });
  }
  const tasks = stages.flatMap((roles, stageId) =>
    roles.flatMap(({ hosts, batches = [], bare = false }, roleIndex) =>
      hosts.map((hostId, i) => ({
        ...{ stageId, roleIndex, hostId, batch: batches[i] ?? 0 },
        ...(bare ? {} : { command: { timeoutMs: 5_000n } }),
      })),
    ),
  );
  for (let i = 0; i < tasks.length; i += chunk) {
    yield part({ case: "tasks", value: { tasks: tasks.slice(i, i + chunk) } });
  }
  yield part({ case: "commit", value: { taskCount: tasks.length } });
}

/** Makes a request. */
export function createSample(
  { client }: TestStore,
  sample: SampleRequest,
): Promise<CreateRequestResponse> {
  return client.createRequest(asynchronous(requestParts(sample)));
}

/** The same in one message, with these tasks released. */
export function wholeOf(
  parts: Iterable<CreateRequestRequest>,
  releases: MessageInitShape<typeof TaskReleaseSchema>[] = [],
): CreateRequestRequest {
  const whole = create(WholeRequestSchema, { releases });
  for (const { part } of parts) {
    if (part.case === "header") whole.header = part.value;
    else if (part.case === "stage") whole.stages.push(part.value);
    else if (part.case === "tasks") whole.tasks.push(...part.value.tasks);
  }
  return create(CreateRequestRequestSchema, { part: { case: "whole", value: whole } });
}

/** Makes a request of which these tasks are released, by their places and the epochs of their sessions. */
export function createReleased(
  { client }: TestStore,
  sample: SampleRequest,
  releases: MessageInitShape<typeof TaskReleaseSchema>[],
): Promise<CreateRequestResponse> {
  return client.createRequest(asynchronous([wholeOf(requestParts(sample), releases)]));
}

/** An async iterable of a synchronous one. */
export async function* asynchronous<T>(values: Iterable<T>): AsyncGenerator<T> {
  yield* values;
}
