import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  AttemptVerdictSchema,
  type Register,
  type RegistrationResultSchema,
} from "@howdah/proto/howdah/v1/agent_registration";
import {
  AckResult,
  AgentService,
  type CommandAck,
  CommandAckSchema,
  type CommandReport,
  type ConnectRequest,
  ConnectResponseSchema,
  type FetchPackageRequest,
  type UploadOutputRequest,
} from "@howdah/proto/howdah/v1/agent_service";
import {
  CommandSpecSchema,
  ExecutionCommandSchema,
  OutputStream,
} from "@howdah/proto/howdah/v1/command";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { ReportOutcome } from "@howdah/proto/howdah/v1/store_reports";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { lossyProxy } from "@howdah/rpc/lossy-proxy-fixture";
import { createRpcServer } from "@howdah/rpc/server";
import { Outbox } from "../connection/outbox.js";
import { silent, until } from "./test-agent.js";
import { testStore } from "./test-store.js";

type Heard = Extract<ConnectRequest["message"], { value: unknown }>;
type Value<C extends Heard["case"]> = Extract<Heard, { case: C }>["value"];
type Said = NonNullable<MessageInitShape<typeof ConnectResponseSchema>["message"]>;

/** One stream of an agent. */
export class TestSession {
  readonly heard: Heard[] = [];
  /** The first Register and those that followed it. */
  readonly pages: Register[] = [];
  readonly epoch: bigint;
  over = false;
  readonly outbox = new Outbox<MessageInitShape<typeof ConnectResponseSchema>>();
  failure: ConnectError | undefined;
  /** Told of each message right when it is heard. */
  onHeard: (message: Heard) => void = () => undefined;

  constructor(epoch: number) {
    this.epoch = BigInt(epoch);
  }

  say(message: Said): void {
    this.outbox.put({ message });
  }

  /** Ends the stream, with an error if one is given. */
  end(failure?: ConnectError): void {
    this.failure = failure;
    this.outbox.end();
  }

  /** What was heard of one kind. */
  all<C extends Heard["case"]>(kind: C): Value<C>[] {
    return this.heard.filter((one) => one.case === kind).map(({ value }) => value as Value<C>);
  }
}

/** What a test may change at any time. */
export interface Script {
  storeId: string;
  result: MessageInitShape<typeof RegistrationResultSchema>;
  verdicts(pages: readonly Register[]): MessageInitShape<typeof AttemptVerdictSchema>[];
  /** Says nothing to a registration. */
  deaf: boolean;
  /** Reports are kept, and acknowledged once this is false again. */
  holdAcks: boolean;
  /** Reports of alerts are not acknowledged. */
  holdAlertAcks: boolean;
  outcome: ReportOutcome;
  /** Nothing is answered to uploads. */
  holdUploads: boolean;
  /** Why uploads are refused. */
  refuseUploads: string;
  /** Ends the upload stream instead of taking the n-th piece of all. */
  breakUploadAt: number | undefined;
  /** Serves packages; the default knows `packages`. */
  fetch(request: FetchPackageRequest, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** A dispatcher with a store in memory, which does what it should unless the test says otherwise. */
export interface TestDispatcher {
  readonly address: string;
  /** The same without the proxy, for those who measure time. */
  readonly directAddress: string;
  readonly script: Script;
  readonly sessions: TestSession[];
  readonly packages: Map<string, Uint8Array>;
  readonly fetches: string[];
  /** Every report of all sessions, in the order heard. */
  readonly reports: CommandReport[];
  /** What became of commands, as it was said or as a report implies. */
  readonly acks: CommandAck[];
  readonly uploads: UploadOutputRequest[];
  /** Streams of output that were opened. */
  uploadStreams: number;
  /** Pieces that were sent and not answered, at most. */
  mostInFlight: number;
  /** Reports under way, at most. */
  mostUnacked: number;
  /** The newest session that lives and has registered. */
  session(): Promise<TestSession>;
  /** What is stored of a stream. */
  stored(taskId: number, stream: OutputStream, attempt?: number): Buffer;
  /** Acknowledges what `holdAcks` kept. */
  releaseAcks(): void;
  /** Waits for the terminal report of an attempt. */
  ended(taskId: number, attempt?: number): Promise<CommandReport>;
  /** Cuts all connections. */
  cut(): void;
}

/** Somebody whose end can be waited for: a test. */
export interface Ends {
  after(end: () => void | Promise<void>): void;
}

/** Serves agents on a free port, behind a proxy whose connections can be cut, until the test ends. */
export async function serveDispatcher(t: Ends): Promise<TestDispatcher> {
  const sessions: TestSession[] = [];
  const reports: CommandReport[] = [];
  const acks: CommandAck[] = [];
  const answers = new Set<string>();
  const uploads: UploadOutputRequest[] = [];
  const fetches: string[] = [];
  const packages = new Map<string, Uint8Array>();
  const output = new Map<string, Buffer>();
  const held: { session: TestSession; report: CommandReport }[] = [];
  let unacked = 0;
  let inFlight = 0;

  const script: Script = {
    storeId: testStore,
    result: { maxUnackedReports: 100, heartbeatMs: 60_000, outputCap: 64n << 20n },
    verdicts: () => [],
    deaf: false,
    holdAcks: false,
    holdAlertAcks: false,
    outcome: ReportOutcome.RECORDED,
    holdUploads: false,
    refuseUploads: "",
    breakUploadAt: undefined,
    async *fetch({ digest }) {
      const bytes = packages.get(digest);
      if (bytes === undefined) throw new ConnectError(`no package ${digest}`, Code.NotFound);
      for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
    },
  };

  function append(taskId: bigint, attempt: number, chunk: UploadOutputRequest["chunk"]): bigint {
    const key = `${script.storeId}/${taskId}/${attempt}/${chunk?.stream}`;
    const had = output.get(key) ?? Buffer.alloc(0);
    const fits = chunk !== undefined && chunk.offset === BigInt(had.length);
    const now = fits ? Buffer.concat([had, chunk.data]) : had;
    output.set(key, now);
    return BigInt(now.length);
  }

  function acknowledge(session: TestSession, report: CommandReport): void {
    const { taskId, attempt, event } = report;
    const stored = report.lengths.map(({ stream }) => {
      const chunk = report.output.find((each) => each.stream === stream);
      const empty = { $typeName: "howdah.v1.OutputChunk" as const, offset: -1n };
      const length = append(taskId, attempt, chunk ?? { ...empty, stream, data: Buffer.alloc(0) });
      return { stream, length };
    });
    unacked -= 1;
    session.say({
      case: "reportAck",
      value: { acks: [{ taskId, attempt, event, outcome: script.outcome, stored }] },
    });
  }

  function answered(ack: CommandAck): void {
    acks.push(ack);
    answers.add(`${ack.taskId} ${ack.attempt}`);
  }

  function register(session: TestSession): void {
    if (script.deaf) return;
    session.say({
      case: "registrationResult",
      value: {
        ...{ storeId: script.storeId, hostId: 7n, sessionEpoch: session.epoch },
        ...script.result,
        verdicts: script.verdicts(session.pages).map((one) => create(AttemptVerdictSchema, one)),
      },
    });
  }

  function take(session: TestSession, message: Heard): void {
    session.heard.push(message);
    session.onHeard(message);
    if (message.case === "register") {
      session.pages.push(message.value);
      if (!message.value.more) register(session);
    }
    if (message.case === "commandAck") answered(message.value);
    if (message.case === "goodbye") session.end();
    if (message.case === "alertReport" && !script.holdAlertAcks) {
      session.say({ case: "alertReportAck", value: { sequence: message.value.sequence } });
    }
    if (message.case !== "commandReports") return;
    for (const report of message.value.reports) {
      const { taskId, attempt } = report;
      reports.push(report);
      // Who reports on a command has accepted it.
      if (!answers.has(`${taskId} ${attempt}`)) {
        answered(create(CommandAckSchema, { taskId, attempt, result: AckResult.ACCEPTED }));
      }
      unacked += 1;
      dispatcher.mostUnacked = Math.max(dispatcher.mostUnacked, unacked);
      if (script.holdAcks) held.push({ session, report });
      else acknowledge(session, report);
    }
  }

  const server = createRpcServer({ name: "test", log: silent, drainGraceMs: 100 });
  server.add(AgentService, {
    async *connect(requests, { signal }) {
      const session = new TestSession(sessions.length + 1);
      sessions.push(session);
      unacked = 0;
      const read = async () => {
        for await (const { message } of requests) {
          if (message.case !== undefined) take(session, message);
        }
      };
      read()
        .catch(() => undefined) // a connection that was cut
        .finally(() => session.end(session.failure));
      signal.addEventListener("abort", () => session.end());
      try {
        for await (const message of session.outbox) yield create(ConnectResponseSchema, message);
        if (session.failure !== undefined) throw session.failure;
      } finally {
        session.over = true;
      }
    },
    async *uploadOutput(requests, { signal }) {
      dispatcher.uploadStreams += 1;
      let mine = 0;
      try {
        for await (const request of requests) {
          const { taskId, attempt, chunk } = request;
          uploads.push(request);
          inFlight += 1;
          mine += 1;
          dispatcher.mostInFlight = Math.max(dispatcher.mostInFlight, inFlight);
          if (script.breakUploadAt === uploads.length) {
            throw new ConnectError("broken by the test", Code.Unavailable);
          }
          if (script.holdUploads) await until(() => !script.holdUploads || signal.aborted, "go");
          if (signal.aborted) return;
          const tooLarge = (chunk?.data.length ?? 0) > 256 * 1024;
          const refused = tooLarge ? "more than 256 KiB" : script.refuseUploads;
          const length = refused === "" ? append(taskId, attempt, chunk) : 0n;
          inFlight -= 1;
          mine -= 1;
          yield { taskId, attempt, stream: chunk?.stream ?? 0, length, refused };
        }
      } finally {
        inFlight -= mine;
      }
    },
    async *fetchPackage(request, { signal }) {
      fetches.push(request.digest);
      for await (const data of script.fetch(request, signal)) yield { data };
    },
  });
  const inner = await server.listen("127.0.0.1:0");
  const proxy = await lossyProxy(t, inner);
  t.after(() => server.drain());

  const dispatcher: TestDispatcher = {
    ...{ script, sessions, packages, fetches, reports, acks, uploads },
    address: proxy.address,
    directAddress: inner,
    uploadStreams: 0,
    mostInFlight: 0,
    mostUnacked: 0,
    session: () =>
      until(() => {
        const last = sessions.at(-1);
        return last !== undefined && !last.over && last.pages.at(-1)?.more === false && last;
      }, "a session"),
    stored: (taskId, stream, attempt = 1) =>
      output.get(`${script.storeId}/${taskId}/${attempt}/${stream}`) ?? Buffer.alloc(0),
    releaseAcks() {
      script.holdAcks = false;
      for (const { session, report } of held.splice(0)) acknowledge(session, report);
    },
    ended: (taskId, attempt = 1) =>
      until(
        () =>
          reports.find(
            (report) =>
              report.taskId === BigInt(taskId) &&
              report.attempt === attempt &&
              report.event !== TaskEvent.STARTED,
          ),
        `the end of task ${taskId}`,
      ),
    cut: proxy.cut,
  };
  return dispatcher;
}

/** A command that runs a line of shell; `more` and `moreSpec` win. */
export function shellTask(
  taskId: number,
  line: string,
  more: { readonly attempt?: number; readonly cancelRequested?: boolean } = {},
  moreSpec: MessageInitShape<typeof CommandSpecSchema> = {},
): Said {
  return {
    case: "executionCommand",
    value: create(ExecutionCommandSchema, {
      ...{ taskId: BigInt(taskId), attempt: 1, requestId: 1n, hostId: 7n, role: "RUN" },
      roleCommand: RoleCommand.EXECUTE,
      spec: create(CommandSpecSchema, {
        argv: ["/bin/sh", "-c", line],
        timeoutMs: 60_000n,
        ...moreSpec,
      }),
      ...more,
    }),
  };
}

/** The streams of output, for short. */
export const { STDOUT, STDERR, STRUCTURED } = OutputStream;
