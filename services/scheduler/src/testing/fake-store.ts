import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { Cluster, Host, HostComponentSchema } from "@howdah/proto/howdah/v1/fleet";
import { FleetService, type InMaintenanceSchema } from "@howdah/proto/howdah/v1/fleet_service";
import type { RequestOptionsSchema } from "@howdah/proto/howdah/v1/operation";
import {
  type Request,
  RequestSchema,
  type Task,
  TaskSchema,
} from "@howdah/proto/howdah/v1/request";
import type { StackDefinition } from "@howdah/proto/howdah/v1/stack";
import { StackService } from "@howdah/proto/howdah/v1/stack_service";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import type { CreateRequestRequest } from "@howdah/proto/howdah/v1/store_request_creation";
import type {
  RecordTransitionsRequest,
  TaskTransition,
} from "@howdah/proto/howdah/v1/store_transitions";
import type { TaskChange, TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { createRpcServer } from "@howdah/rpc/server";
import { transition } from "@howdah/state/transitions";
import { pino } from "pino";
import { type FleetContent, fakeFleet, fakeStacks } from "./fake-fleet.js";
import { FakeLeases } from "./fake-leases.js";
import { FakeLostHosts } from "./fake-lost-hosts.js";
import { fakeReads, type RequestContent, storedIn, taskIn } from "./fake-reads.js";
import {
  move,
  policyFor,
  readRequest,
  rollUp,
  type Stored,
  spend,
  stateOf,
  toChange,
} from "./fake-requests.js";
import { FakeSchedules } from "./fake-schedules.js";
import { applyTransitions, commandOf } from "./fake-transitions.js";

/** A role of a request to be put into the store: on these hosts. */
export interface RoleOnHosts {
  readonly role: string;
  readonly hosts: readonly number[];
  readonly factor?: number;
  readonly timeoutMs?: number;
  readonly blockers?: number[];
  readonly manual?: boolean;
  readonly background?: boolean;
  readonly retryMs?: number;
  /** The batch of each host; 0 when absent. */
  readonly batches?: readonly number[];
}

/** A store in memory, served over gRPC, that can be away, slow, lose answers and skip transitions. */
export class FakeStore implements FleetContent, RequestContent {
  readonly leases = new FakeLeases();
  readonly schedules = new FakeSchedules();
  readonly lostHosts = new FakeLostHosts();
  readonly requests = new Map<bigint, Stored>();
  passes = 0;
  /** Every call of RecordTransitions, whatever became of it. */
  readonly recorded: RecordTransitionsRequest[] = [];
  hosts: Host[] = [];
  clusters: Cluster[] = [];
  /** What is in maintenance; hosts have it in `hosts` too. */
  maintenance: MessageInitShape<typeof InMaintenanceSchema>[] = [];
  /** What is known of components; nothing, for those that are not in it. */
  hostComponents: MessageInitShape<typeof HostComponentSchema>[] = [];
  stack: { stack: StackDefinition; digest: string } | undefined;
  /** Called before what is in maintenance is listed. */
  beforeMaintenance: () => Promise<void> | undefined = () => undefined;
  /** The calls that planning made, by name. */
  reads: string[] = [];
  /** While true, every call fails with UNAVAILABLE. */
  down = false;
  /** The calls that fail with UNAVAILABLE, by name; so far of those that make a request. */
  fail: (method: "createRequest") => boolean = () => false;
  /** The tasks that were released as their requests were stored, one list for each. */
  readonly releasedFirst: bigint[][] = [];
  /** How many calls of RecordTransitions commit and then fail. */
  loseAnswers = 0;
  /** While set, RecordTransitions waits for it before it commits, and then for the other before it answers. */
  hold: Promise<void> | undefined;
  holdAnswers: Promise<void> | undefined;
  /** While set, CreateRequest waits for it before it commits, and then for the other before it answers. */
  holdCreate: Promise<void> | undefined;
  holdCreated: Promise<void> | undefined;
  /** How long each call of it might take. */
  readonly createTimeouts: (number | undefined)[] = [];
  /** While true, calls of CreateRequest meet their own commit, and do not say what it made of the tasks. */
  meetsOwnCommit = false;
  /** While true, they commit and then fail. */
  loseCreated = false;
  /** Called before a request's tasks are listed. */
  beforeTasks: (requestId: bigint) => Promise<void> | undefined = () => undefined;
  /** Transitions that are skipped although they would do. */
  skip: (transition: TaskTransition) => boolean = () => false;
  /** What RecordTransitions throws instead of committing. */
  refuse: (message: RecordTransitionsRequest) => ConnectError | undefined = () => undefined;
  /** How many bytes each command is padded with. */
  padding = 0;
  private nextTaskId = 1n;

  /** Puts a request into the store, as a submit would have: stages of roles on hosts. */
  addRequest(
    stages: RoleOnHosts[][],
    options: MessageInitShape<typeof RequestOptionsSchema> = {},
  ): bigint {
    const requestId = BigInt(this.requests.size + 1);
    const tasks = stages.flatMap((roles, stageId) =>
      roles.flatMap(({ role, hosts, timeoutMs = 60_000, batches = [] }) =>
        hosts.map((host, at) => ({
          ...this.task(
            requestId,
            stageId,
            role,
            BigInt(host),
            BigInt(timeoutMs),
            RoleCommand.START,
          ),
          batch: batches[at] ?? 0,
        })),
      ),
    );
    this.requests.set(requestId, {
      request: create(RequestSchema, { requestId, version: 1n, run: 1, options }),
      stages: stages.map((roles) => ({
        roles: roles.map(({ role, factor = 1, blockers = [], manual = false, ...more }) => ({
          ...{ role, roleCommand: RoleCommand.START, successFactor: factor, blockers, manual },
          background: more.background ?? false,
          retryMs: BigInt(more.retryMs ?? 0),
        })),
      })),
      tasks,
      commands: [],
      ownerToken: 1n,
    });
    return requestId;
  }

  private task(
    requestId: bigint,
    stageId: number,
    role: string,
    hostId: bigint,
    timeoutMs: bigint,
    roleCommand: RoleCommand,
  ): Task {
    const taskId = this.nextTaskId;
    this.nextTaskId += 1n;
    const status = Status.PENDING;
    return create(TaskSchema, {
      ...{ taskId, requestId, stageId, role, roleCommand, hostId, timeoutMs, status },
      hostName: `host${hostId}`,
      attempt: 1,
      changeVersion: 1n,
    });
  }

  stored(requestId: bigint): Stored {
    return storedIn(this.requests, requestId);
  }

  taskOf(taskId: bigint): Task {
    const found = taskIn(this.requests, taskId);
    if (found !== undefined) return found;
    throw new Error(`there is no task ${taskId}`);
  }

  /** The statuses of a request's tasks, in order. */
  statuses(requestId: bigint): string[] {
    return this.stored(requestId).tasks.map(({ status }) => Status[status] ?? "");
  }

  /** How many tasks of a request are in a status. */
  count(requestId: bigint, status: Status): number {
    return this.stored(requestId).tasks.filter((task) => task.status === status).length;
  }

  /** Commits what an agent says about a task; nobody is told. */
  report(taskId: bigint, event: TaskEvent): TaskChange {
    const task = this.taskOf(taskId);
    const stored = this.stored(task.requestId);
    const { request } = stored;
    const outcome = transition(stateOf(task, request), event, policyFor(stored, task));
    if (outcome.kind === "move") {
      request.version += 1n;
      move(task, outcome, request.version);
      rollUp(stored);
      spend(stored);
    }
    return toChange(task);
  }

  private async create(messages: AsyncIterable<CreateRequestRequest>) {
    const { header, stages, specs, commands, releases } = await readRequest(messages);
    await this.holdCreate;
    const there = this.find(header.idempotencyKey, header.contentDigest);
    if (there !== undefined) return { request: there, created: false, taskIds: [] };
    const requestId = BigInt(this.requests.size + 1);
    const tasks = specs.map(({ stageId, roleIndex, hostId, batch }) => {
      const { role = "", roleCommand = 0 } = stages[stageId]?.roles[roleIndex] ?? {};
      return { ...this.task(requestId, stageId, role, hostId, 60_000n, roleCommand), batch };
    });
    const { idempotencyKey, context, options, skippedHosts, schedulerToken } = header;
    const request = create(RequestSchema, {
      ...{ requestId, idempotencyKey, context, skippedHosts, version: 1n, run: 1 },
      ...(options && { options }),
    });
    const released = releases.flatMap(({ task: place, sessionEpoch }) => {
      const task = tasks[place];
      return task ? [Object.assign(task, { status: Status.QUEUED, sessionEpoch })] : [];
    });
    const ownerToken = schedulerToken;
    this.requests.set(requestId, { request, stages, tasks, commands, header, ownerToken });
    this.releasedFirst.push(released.map(({ taskId }) => taskId));
    await this.holdCreated;
    if (this.meetsOwnCommit) return { request, created: true, taskIds: [] };
    if (this.loseCreated) throw new ConnectError("the connection was lost", Code.Unavailable);
    return {
      ...{ request, created: true, taskIds: tasks.map(({ taskId }) => taskId) },
      commands: released.map((task) => commandOf(task, this.padding)),
    };
  }

  private find(idempotencyKey: string, contentDigest: Uint8Array): Request | undefined {
    for (const { request, header } of this.requests.values()) {
      if (header === undefined || request.idempotencyKey !== idempotencyKey) continue;
      if (Buffer.compare(header.contentDigest, contentDigest) === 0) return request;
      throw new ConnectError(
        `idempotency_key: request ${request.requestId} has the key ${idempotencyKey}`,
        Code.AlreadyExists,
      );
    }
    return undefined;
  }

  private readonly check = () => {
    if (this.down) throw new ConnectError("the database cannot be reached", Code.Unavailable);
  };

  private commandStore(): Partial<ServiceImpl<typeof CommandStoreService>> {
    const { check } = this;
    return {
      ...this.leases.calls(check),
      ...this.schedules.calls(check),
      ...fakeReads(this, check),
      recordLostHosts: this.lostHosts.record(check),
      createRequest: async (messages, context) => {
        check();
        this.createTimeouts.push(context.timeoutMs());
        if (this.fail("createRequest")) throw new ConnectError("away", Code.Unavailable);
        return this.create(messages);
      },
      findRequest: ({ idempotencyKey, contentDigest }) => {
        check();
        const request = this.find(idempotencyKey, contentDigest);
        return request === undefined ? {} : { request };
      },
      recordTransitions: async (message) => {
        this.recorded.push(message);
        check();
        await this.hold;
        check();
        const refusal = this.refuse(message);
        if (refusal !== undefined) throw refusal;
        const { skip, padding } = this;
        const applying = { token: message.schedulerToken, skip, padding };
        const results = message.requests.map((part) =>
          applyTransitions(this.requests.get(part.requestId), part, applying),
        );
        await this.holdAnswers;
        if (this.loseAnswers > 0) {
          this.loseAnswers -= 1;
          throw new ConnectError("the connection was lost", Code.Unavailable);
        }
        return { results };
      },
    };
  }

  /** Serves it; its address, and how to stop it. */
  async serve(): Promise<{ address: string; stop(): Promise<void> }> {
    const server = createRpcServer({ name: "fake-store", log: pino({ level: "silent" }) });
    server.add(CommandStoreService, this.commandStore());
    server.add(FleetService, fakeFleet(this, this.check));
    server.add(StackService, fakeStacks(this, this.check));
    const address = await server.listen("127.0.0.1:0");
    return { address, stop: () => server.drain() };
  }
}
