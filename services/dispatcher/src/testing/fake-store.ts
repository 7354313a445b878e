import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { type ExecutionCommand, ExecutionCommandSchema } from "@howdah/proto/howdah/v1/command";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { StackService } from "@howdah/proto/howdah/v1/stack_service";
import { Status } from "@howdah/proto/howdah/v1/status";
import type { HostAlertResults } from "@howdah/proto/howdah/v1/store_alerts";
import type { HostComponentStatus } from "@howdah/proto/howdah/v1/store_components";
import type { HostStatus } from "@howdah/proto/howdah/v1/store_hosts";
import type { LeaseSchema } from "@howdah/proto/howdah/v1/store_leases";
import type { AppendOutputRequest } from "@howdah/proto/howdah/v1/store_output";
import { ReportOutcome, type TaskReport } from "@howdah/proto/howdah/v1/store_reports";
import type {
  OpenSessionRequest,
  OpenSessionResponseSchema,
} from "@howdah/proto/howdah/v1/store_sessions";
import { type TaskChange, TaskChangeSchema, TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { createRpcServer } from "@howdah/rpc/server";
import { pino } from "pino";

type LeaseRow = MessageInitShape<typeof LeaseSchema> & { token: bigint; counter: bigint };

interface HostRow {
  hostId: bigint;
  epoch: bigint;
  agentId: string;
  journalId: string;
  open?: { dispatcher: string; token: bigint; peerAddress: string };
}

/** A store in memory, served over gRPC, that can be down, slow, or refuse. */
export class FakeStore {
  storeId = "store-1";
  readonly leases = new Map<string, LeaseRow>();
  readonly hosts = new Map<string, HostRow>();
  readonly tasks = new Map<bigint, TaskChange>();
  readonly commands = new Map<bigint, ExecutionCommand>();
  /** The batches that came to recordReports, whatever became of them. */
  readonly reportBatches: TaskReport[][] = [];
  /** The batches that came to recordComponentStatuses. */
  readonly statusBatches: HostComponentStatus[][] = [];
  /** The calls of recordAlerts, whatever became of them. */
  readonly alertBatches: HostAlertResults[][] = [];
  /** The batches that came to recordHostStatuses. */
  readonly hostStatusBatches: HostStatus[][] = [];
  readonly opens: OpenSessionRequest[] = [];
  readonly closed: { hostId: bigint; sessionEpoch: bigint }[] = [];
  appendCalls = 0;
  readonly appendBatches: AppendOutputRequest["appends"][] = [];
  readonly outputs = new Map<string, Uint8Array>();
  readonly packages = new Map<string, Uint8Array>();
  packageReads = 0;
  released: string[] = [];
  openSessionsUnderWay = 0;
  maxOpenSessionsUnderWay = 0;

  /** While true, every call fails with UNAVAILABLE. */
  down = false;
  /** While set, recordReports waits for it before it commits. */
  hold: Promise<void> | undefined;
  /** While set, openSession waits for it. */
  holdOpen: Promise<void> | undefined;
  /** A batch with such a task is refused as a whole. */
  poison: bigint | undefined;

  #nextHost = 1n;

  #check(): void {
    if (this.down) throw new ConnectError("the database cannot be reached", Code.Unavailable);
  }

  /** Adds a task with its command. */
  addTask(taskId: bigint, hostName: string, status = Status.QUEUED, attempt = 1): void {
    const { hostId } = this.host(hostName);
    this.tasks.set(
      taskId,
      create(TaskChangeSchema, { taskId, requestId: 1n, hostId, status, attempt }),
    );
    this.commands.set(
      taskId,
      create(ExecutionCommandSchema, { taskId, attempt, requestId: 1n, hostId, role: "RUN" }),
    );
  }

  host(hostName: string): HostRow {
    const known = this.hosts.get(hostName);
    if (known !== undefined) return known;
    const row = { hostId: this.#nextHost, epoch: 0n, agentId: "", journalId: "" };
    this.#nextHost += 1n;
    this.hosts.set(hostName, row);
    return row;
  }

  async #openSession(
    request: OpenSessionRequest,
  ): Promise<MessageInitShape<typeof OpenSessionResponseSchema>> {
    this.opens.push(request);
    this.openSessionsUnderWay += 1;
    this.maxOpenSessionsUnderWay = Math.max(
      this.maxOpenSessionsUnderWay,
      this.openSessionsUnderWay,
    );
    try {
      await this.holdOpen;
      this.#check();
    } finally {
      this.openSessionsUnderWay -= 1;
    }
    const host = this.host(request.hostName);
    const sameAgent = host.agentId === request.agentId && host.journalId === request.journalId;
    const restarted =
      host.open?.dispatcher === request.dispatcher && host.open.token < request.dispatcherToken;
    const takeover = sameAgent && request.takeoverEpoch === host.epoch;
    if (host.open !== undefined && !restarted && !takeover) {
      const { dispatcher, peerAddress } = host.open;
      const dispatcherAddress = this.leases.get(dispatcher)?.address ?? "";
      return {
        hostId: host.hostId,
        conflict: {
          ...{ dispatcher, dispatcherAddress, peerAddress, sameAgent },
          sessionEpoch: host.epoch,
        },
      };
    }
    host.epoch += 1n;
    host.agentId = request.agentId;
    host.journalId = request.journalId;
    host.open = {
      dispatcher: request.dispatcher,
      token: request.dispatcherToken,
      peerAddress: request.peerAddress,
    };
    const listed = new Map(request.listed.map((one) => [one.taskId, one.attempt]));
    const ours = [...this.tasks.values()].filter((task) => task.hostId === host.hostId);
    const isOpen = ({ status }: TaskChange) =>
      status === Status.QUEUED || status === Status.IN_PROGRESS || status === Status.UNKNOWN;
    for (const task of ours) if (isOpen(task)) task.sessionEpoch = host.epoch;
    return {
      storeId: this.storeId,
      hostId: host.hostId,
      sessionEpoch: host.epoch,
      tasks: ours.filter((task) => isOpen(task) || listed.has(task.taskId)),
      commands: ours
        .filter((task) => task.status === Status.QUEUED && listed.get(task.taskId) !== task.attempt)
        .flatMap(({ taskId }) => this.commands.get(taskId) ?? []),
    };
  }

  #record(report: TaskReport, changes: TaskChange[]) {
    const task = this.tasks.get(report.taskId);
    if (task === undefined || task.hostId !== report.hostId) {
      return { outcome: ReportOutcome.REFUSED, reason: "no such task on this host" };
    }
    if (report.sessionEpoch < task.sessionEpoch) return { outcome: ReportOutcome.STALE_SESSION };
    const final = task.status === Status.COMPLETED || task.status === Status.FAILED;
    if (final || report.attempt < task.attempt) return { outcome: ReportOutcome.KNOWN };
    task.status =
      report.event === TaskEvent.STARTED
        ? Status.IN_PROGRESS
        : report.event === TaskEvent.SUCCEEDED
          ? Status.COMPLETED
          : Status.FAILED;
    changes.push(task);
    return { outcome: ReportOutcome.RECORDED };
  }

  readonly impl: Partial<ServiceImpl<typeof CommandStoreService>> = {
    openSession: (request) => this.#openSession(request),
    closeSessions: ({ sessions }) => {
      this.#check();
      for (const session of sessions) {
        this.closed.push(session);
        for (const host of this.hosts.values()) {
          if (host.hostId === session.hostId && host.epoch === session.sessionEpoch) {
            delete host.open;
          }
        }
      }
      return {};
    },
    recordReports: async ({ reports }) => {
      this.reportBatches.push(reports);
      await this.hold;
      this.#check();
      if (reports.some(({ taskId }) => taskId === this.poison)) {
        throw new ConnectError("reports: one of them is bad", Code.InvalidArgument);
      }
      const changes: TaskChange[] = [];
      return { results: reports.map((report) => this.#record(report, changes)), changes };
    },
    recordComponentStatuses: async ({ statuses }) => {
      this.statusBatches.push(statuses);
      await this.hold;
      this.#check();
      if (statuses.some(({ componentName }) => componentName === "POISON")) {
        throw new ConnectError("statuses: one of them is bad", Code.InvalidArgument);
      }
      return { changed: statuses.length };
    },
    recordAlerts: async ({ hosts }) => {
      this.alertBatches.push(hosts);
      await this.hold;
      this.#check();
      if (hosts.some(({ results }) => results.some(({ text }) => text === "POISON"))) {
        throw new ConnectError("hosts: one of the results is bad", Code.InvalidArgument);
      }
      return { changed: 0 };
    },
    recordHostStatuses: async ({ statuses }) => {
      this.hostStatusBatches.push(statuses);
      await this.hold;
      this.#check();
      if (statuses.some(({ problems }) => problems.includes("POISON"))) {
        throw new ConnectError("statuses: one of them is bad", Code.InvalidArgument);
      }
      return {};
    },
    appendOutput: ({ appends }) => {
      this.appendCalls += 1;
      this.#check();
      this.appendBatches.push(appends);
      return {
        results: appends.map(({ taskId, attempt, chunk }) => {
          const key = `${taskId}/${attempt}/${chunk?.stream}`;
          const stored = this.outputs.get(key) ?? new Uint8Array();
          const data = chunk?.data ?? new Uint8Array();
          if (Number(chunk?.offset) !== stored.byteLength) {
            return { length: BigInt(stored.byteLength) };
          }
          this.outputs.set(key, Buffer.concat([stored, data]));
          return { length: BigInt(stored.byteLength + data.byteLength) };
        }),
      };
    },
    acquireLease: ({ name, holder, address, durationMs, expiredToken, expiredCounter }) => {
      this.#check();
      const old = this.leases.get(name);
      const instance = (text = "") => text.slice(0, text.lastIndexOf("/"));
      const free =
        old === undefined ||
        old.holder === "" ||
        instance(old.holder) === instance(holder) ||
        (old.token === expiredToken && old.counter === expiredCounter);
      if (!free) return { lease: old, acquired: false };
      const lease = {
        name,
        holder,
        address,
        durationMs,
        token: (old?.token ?? 0n) + 1n,
        counter: 1n,
      };
      this.leases.set(name, lease);
      return { lease, acquired: true };
    },
    renewLease: ({ name, token }) => {
      this.#check();
      const lease = this.leases.get(name);
      if (lease === undefined || lease.token !== token) {
        throw new ConnectError(`lease ${name} was taken`, Code.FailedPrecondition);
      }
      lease.counter += 1n;
      return {};
    },
    releaseLease: ({ name, token }) => {
      this.#check();
      const lease = this.leases.get(name);
      if (lease?.token === token) {
        lease.holder = "";
        this.released.push(name);
      }
      return {};
    },
    listLeases: ({ prefix }) => {
      this.#check();
      return {
        leases: [...this.leases.values()].filter(({ name = "" }) => name.startsWith(prefix)),
      };
    },
  };

  async *#readPackage(digest: string) {
    this.#check();
    this.packageReads += 1;
    const data = this.packages.get(digest);
    if (data === undefined) throw new ConnectError(`there is no package ${digest}`, Code.NotFound);
    for (let at = 0; at < data.byteLength; at += 1_000) {
      yield { data: data.subarray(at, at + 1_000) };
    }
  }

  /** Serves it; its address, and how to stop it. */
  async serve(): Promise<{ address: string; stop(): Promise<void> }> {
    const server = createRpcServer({ name: "fake-store", log: pino({ level: "silent" }) });
    server.add(CommandStoreService, this.impl);
    server.add(StackService, { readPackage: ({ digest }) => this.#readPackage(digest) });
    const address = await server.listen("127.0.0.1:0");
    return { address, stop: () => server.drain() };
  }
}
