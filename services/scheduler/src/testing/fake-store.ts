import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { ExecutionCommandSchema } from "@howdah/proto/howdah/v1/command";
import {
  CommandStoreService,
  type CreateRequestRequest,
  type RecordTransitionsRequest,
  type RequestTransitions,
  type RequestTransitionsResultSchema,
  type TaskChange,
  TaskEvent,
  type TaskTransition,
} from "@howdah/proto/howdah/v1/command_store_service";
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
import { createRpcServer } from "@howdah/rpc/server";
import { failedStatuses, isDone } from "@howdah/state/statuses";
import { transition } from "@howdah/state/transitions";
import { pino } from "pino";
import { type FleetContent, fakeFleet, fakeStacks } from "./fake-fleet.js";
import { FakeLeases } from "./fake-leases.js";
import { FakeLostHosts } from "./fake-lost-hosts.js";
import {
  isOver,
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
export class FakeStore implements FleetContent {
  readonly leases = new FakeLeases();
  readonly schedules = new FakeSchedules();
  readonly lostHosts = new FakeLostHosts();
  readonly requests = new Map<bigint, Stored>();
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
  /** How many calls of RecordTransitions commit and then fail. */
  loseAnswers = 0;
  /** While set, RecordTransitions waits for it before it commits, and then for the other before it answers. */
  hold: Promise<void> | undefined;
  holdAnswers: Promise<void> | undefined;
  /** Called before a request's tasks are listed. */
  beforeTasks: (requestId: bigint) => Promise<void> | undefined = () => undefined;
  /** Transitions that are skipped although they would do. */
  skip: (transition: TaskTransition) => boolean = () => false;
  /** What RecordTransitions throws instead of committing. */
  refuse: (message: RecordTransitionsRequest) => ConnectError | undefined = () => undefined;
  /** How many bytes each command is padded with. */
  padding = 0;
  private readonly forgiven = new Map<bigint, number>();
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
    const found = this.requests.get(requestId);
    if (found === undefined) {
      throw new ConnectError(`there is no request ${requestId}`, Code.NotFound);
    }
    return found;
  }

  taskOf(taskId: bigint): Task {
    for (const { tasks } of this.requests.values()) {
      const found = tasks.find((task) => task.taskId === taskId);
      if (found !== undefined) return found;
    }
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
      spend(stored, this.forgiven.get(request.requestId) ?? 0);
    }
    return toChange(task);
  }

  private apply(token: bigint, part: RequestTransitions) {
    const { requestId } = part;
    const stored = this.requests.get(requestId);
    const result: MessageInitShape<typeof RequestTransitionsResultSchema> = { requestId };
    if (stored === undefined || stored.ownerToken > token) return { ...result, staleOwner: true };
    const { request } = stored;
    stored.ownerToken = token;
    request.version += 1n;
    this.mark(stored, part);
    const touched = part.transitions.filter((one) => this.applyOne(stored, one));
    rollUp(stored);
    const tasks = touched.map(({ taskId }) => this.taskOf(taskId));
    const released = touched.filter(
      ({ event, taskId }) =>
        event === TaskEvent.RELEASED && this.taskOf(taskId).status === Status.QUEUED,
    );
    return {
      ...result,
      version: request.version,
      paused: request.paused,
      aborted: isOver(request),
      changes: tasks.map(toChange),
      commands: released.map(({ taskId }) => this.command(this.taskOf(taskId))),
    };
  }

  private mark(
    { request, tasks }: Stored,
    { abort, pause, newRun, transitions }: RequestTransitions,
  ) {
    const failed = tasks.filter(({ status }) => failedStatuses.has(status)).length;
    if (abort !== undefined) {
      request.aborted = true;
      request.cancelRequested ||= abort.cancelled;
      request.abortReason ||= abort.reason;
    }
    if (pause !== undefined) {
      request.paused = pause.paused;
      request.pauseReason = pause.reason;
      if (!pause.paused) this.forgiven.set(request.requestId, failed);
    }
    if (newRun && transitions.length > 0 && tasks.every(({ status }) => isDone(status))) {
      request.run += 1;
      request.cancelRequested = false;
      request.paused = false;
      request.aborted = false;
      request.abortReason = "";
    }
  }

  private applyOne(stored: Stored, one: TaskTransition): boolean {
    const { request, tasks } = stored;
    const task = tasks.find(({ taskId }) => taskId === one.taskId);
    if (task === undefined || this.skip(one)) return false;
    if (task.attempt !== one.attempt || task.hostId !== one.hostId) return false;
    const { event, sessionEpoch } = one;
    if (event === TaskEvent.NEVER_STARTED && sessionEpoch !== task.sessionEpoch) return false;
    const released = event === TaskEvent.RELEASED;
    const halted = isOver(request) || request.paused;
    if (released && halted && task.status === Status.PENDING) return false;
    const outcome = transition(stateOf(task, request), event, policyFor(stored, task));
    if (outcome.kind === "refused") return false;
    if (outcome.kind === "known" && !(released && sessionEpoch >= task.sessionEpoch)) return false;
    if (outcome.kind === "cancel-requested") task.cancelRequested = true;
    if (outcome.kind === "move") move(task, outcome, request.version);
    if (released) task.sessionEpoch = sessionEpoch;
    if (outcome.kind !== "known") task.changeVersion = request.version;
    return true;
  }

  private command({ taskId, attempt, requestId, stageId, hostId, role, cancelRequested }: Task) {
    return create(ExecutionCommandSchema, {
      ...{ taskId, attempt, requestId, stageId, hostId, role, cancelRequested },
      spec: { argv: ["x".repeat(this.padding)] },
    });
  }

  private async create(messages: AsyncIterable<CreateRequestRequest>) {
    const { header, stages, specs, commands } = await readRequest(messages);
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
    this.requests.set(requestId, {
      request,
      stages,
      tasks,
      commands,
      header,
      ownerToken: schedulerToken,
    });
    return { request, created: true, taskIds: tasks.map(({ taskId }) => taskId) };
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
      recordLostHosts: this.lostHosts.record(check),
      createRequest: (messages) => {
        check();
        if (this.fail("createRequest")) throw new ConnectError("away", Code.Unavailable);
        return this.create(messages);
      },
      findRequest: ({ idempotencyKey, contentDigest }) => {
        check();
        const request = this.find(idempotencyKey, contentDigest);
        return request === undefined ? {} : { request };
      },
      getRequest: ({ requestId }) => {
        check();
        const { request, stages, tasks } = this.stored(requestId);
        const status = (stageId: number) => {
          const rest = tasks.find((one) => one.stageId === stageId && one.status !== completed);
          return rest?.status ?? completed;
        };
        return {
          request,
          stages: stages.map(({ roles }, stageId) => ({ stageId, roles, status: status(stageId) })),
        };
      },
      getTask: ({ taskId }) => {
        check();
        for (const { tasks } of this.requests.values()) {
          const task = tasks.find((one) => one.taskId === taskId);
          if (task !== undefined) return { task };
        }
        throw new ConnectError(`there is no task ${taskId}`, Code.NotFound);
      },
      listTasks: async ({ requestId, changedAfterVersion, statuses }) => {
        check();
        await this.beforeTasks(requestId);
        const { request, tasks } = this.stored(requestId);
        const { version } = request;
        const fits = ({ changeVersion, status }: Task) =>
          (changedAfterVersion === 0n || changeVersion > changedAfterVersion) &&
          (statuses.length === 0 || statuses.includes(status));
        return { version, tasks: tasks.filter(fits) };
      },
      listUnfinished: () => {
        check();
        const open = [...this.requests.values()].filter(({ tasks }) =>
          tasks.some(({ status }) => !isDone(status)),
        );
        return {
          requests: open.map(({ request: { requestId, version }, ownerToken }) => ({
            ...{ requestId, version, ownerToken },
          })),
        };
      },
      recordTransitions: async (message) => {
        this.recorded.push(message);
        check();
        await this.hold;
        check();
        const refusal = this.refuse(message);
        if (refusal !== undefined) throw refusal;
        const { schedulerToken, requests } = message;
        const results = requests.map((part) => this.apply(schedulerToken, part));
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

const completed = Status.COMPLETED;
