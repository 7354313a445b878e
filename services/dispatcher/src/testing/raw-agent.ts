import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type ConnectError, createClient } from "@connectrpc/connect";
import type {
  RegisterSchema,
  RegistrationResult,
} from "@howdah/proto/howdah/v1/agent_registration";
import {
  AgentService,
  type ConnectRequest,
  ConnectRequestSchema,
  type ConnectResponse,
} from "@howdah/proto/howdah/v1/agent_service";
import { createRpcTransport } from "@howdah/rpc/transport";
import { eventually } from "./eventually.js";

type Incoming = Extract<ConnectResponse["message"], { value: unknown }>;
type Value<C extends Incoming["case"]> = Extract<Incoming, { case: C }>["value"];
type Said = NonNullable<MessageInitShape<typeof ConnectRequestSchema>["message"]>;

/** An agent's stream with nothing behind it: says what it is told to say and keeps what it hears. */
export class RawAgent {
  readonly heard: Incoming[] = [];
  /** How the stream ended: "ok", or the error. */
  ended: "ok" | ConnectError | undefined;
  /** Answers probes when true. */
  answersProbes = true;
  /** While set, the agent takes no further message from its stream. */
  stalled: Promise<void> | undefined;
  readonly #queue: ConnectRequest[] = [];
  #wake = () => {};
  #halfClosed = false;
  readonly #abort = new AbortController();
  readonly #transport;
  readonly client;

  constructor(address: string) {
    this.#transport = createRpcTransport({ address, ownConnection: true });
    this.client = createClient(AgentService, this.#transport);
    void this.#run();
  }

  async #run(): Promise<void> {
    try {
      const { signal } = this.#abort;
      for await (const { message } of this.client.connect(this.#requests(), { signal })) {
        if (message.case === undefined) continue;
        this.heard.push(message);
        if (message.case === "probe" && this.answersProbes) this.heartbeat();
        await this.stalled;
      }
      this.ended = "ok";
    } catch (error) {
      this.ended = error as ConnectError;
    }
  }

  async *#requests() {
    while (!this.#halfClosed || this.#queue.length > 0) {
      const next = this.#queue.shift();
      if (next !== undefined) yield next;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  say(message: Said): void {
    this.sayRaw(create(ConnectRequestSchema, { message }));
  }

  sayRaw(request: ConnectRequest): void {
    this.#queue.push(request);
    this.#wake();
  }

  heartbeat(): void {
    this.say({ case: "heartbeat", value: {} });
  }

  /** Sends Register without waiting. */
  sendRegister(hostName: string, fields: MessageInitShape<typeof RegisterSchema> = {}): void {
    this.say({
      case: "register",
      value: {
        hostName,
        agentId: "agent-1",
        journalId: "journal-1",
        storeId: "store-1",
        ...fields,
      },
    });
  }

  /** Registers and waits for the answer. */
  async register(
    hostName: string,
    fields: MessageInitShape<typeof RegisterSchema> = {},
  ): Promise<RegistrationResult> {
    this.sendRegister(hostName, fields);
    return this.next("registrationResult");
  }

  report(taskId: bigint, event: number, attempt = 1): void {
    this.say({ case: "commandReports", value: { reports: [{ taskId, attempt, event }] } });
  }

  all<C extends Incoming["case"]>(kind: C): Value<C>[] {
    return this.heard.filter((one) => one.case === kind).map(({ value }) => value as Value<C>);
  }

  /** The first message of a kind, waiting for it. */
  async next<C extends Incoming["case"]>(kind: C): Promise<Value<C>> {
    return eventually<Value<C>>(`a ${kind}`, (): Value<C> | undefined => {
      const found = this.all(kind);
      if (found.length === 0 && this.ended !== undefined) throw this.ended;
      return found[0];
    });
  }

  /** All acknowledgements so far, flat. */
  get acks() {
    return this.all("reportAck").flatMap(({ acks }) => acks);
  }

  halfClose(): void {
    this.#halfClosed = true;
    this.#wake();
  }

  /** Says goodbye, and ends the requests. */
  goodbye(): void {
    this.say({ case: "goodbye", value: { reason: "test" } });
    this.halfClose();
  }

  /** Cuts the connection. */
  cut(): void {
    this.halfClose();
    this.#abort.abort();
    this.#transport.close();
  }

  /** How the stream ended, waiting for it. */
  end(): Promise<"ok" | ConnectError> {
    return eventually("the end of the stream", () => this.ended);
  }
}
