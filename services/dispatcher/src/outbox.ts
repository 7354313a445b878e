import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { RegistrationCommandSchema } from "@howdah/proto/howdah/v1/agent_registration";
import {
  type AlertDefinitionCommand,
  type AlertExecutionCommand,
  AlertReportAckSchema,
  type ConnectResponse,
  ConnectResponseSchema,
  type ReportAcked,
  ReportAckSchema,
  StatusCommandSchema,
} from "@howdah/proto/howdah/v1/agent_service";
import type { StatusCheck } from "@howdah/proto/howdah/v1/command";
import { ReportOutcome } from "@howdah/proto/howdah/v1/store_reports";
import type { ServedStream } from "@howdah/rpc/served-stream";
import { ActionQueue } from "./action-queue.js";

/** What can be said to an agent. */
export type Outgoing = Extract<ConnectResponse["message"], { value: unknown }>;

/** How many messages may wait beside the action queue. */
const maxBeside = 100;
/** How many acknowledgements travel in one message. */
const maxAcks = 1_000;
/** How long an acknowledgement that nobody waits for may wait for something to be written along with it. */
const ackDelayMs = 100;
/** How many may: far below any credit, which they take up. */
const maxDelayedAcks = 10;
/** How many reports of alerts may be acknowledged to an agent that does not read it. */
const maxAlertAcks = 1_000;
/** What was written to a host that was sent nothing. */
const none: ReadonlySet<string> = new Set();
/** How many alerts may wait to be run. */
const maxExecutions = 100;

/**
 * What waits to be written to one agent's stream: answers first, then cancels, acknowledgements, the status command, alerts, commands. A message is made
 * when the transport takes it, so that what waits stays small and acknowledgements join into one.
 */
export class Outbox {
  #queue: ActionQueue | undefined;
  #beside: Outgoing[] = [];
  #acks: ReportAcked[] = [];
  /** Runs while acknowledgements wait. */
  #ackTimer: NodeJS.Timeout | undefined;
  #alertAcks: bigint[] = [];
  #checks: StatusCheck[] | undefined;
  #alerts: AlertDefinitionCommand | undefined;
  #executions: AlertExecutionCommand[] = [];
  #end: { readonly error?: ConnectError | undefined } | undefined;
  #isAwake = false;
  /** The transport takes nothing at the moment. */
  #isFull = false;

  /**
   * @param stream where it is written to
   * @param failed called when the stream is to end with an error, which a stream whose agent does not read does late
   */
  constructor(
    private readonly stream: Pick<ServedStream<typeof ConnectResponseSchema>, "send" | "end">,
    private readonly failed: () => void,
  ) {}

  /** The commands and cancels that wait. Made when it is first asked for: most hosts have none most of the time. */
  get queue(): ActionQueue {
    this.#queue ??= new ActionQueue();
    return this.#queue;
  }

  /** Puts commands that wait for a former attempt into the queue again, in case an end was missed. */
  unpark(): void {
    if (this.#queue?.unpark() === true) this.wake();
  }

  /** Commands that wait. */
  get queuedCommands(): number {
    return this.#queue?.queuedCommands ?? 0;
  }

  /** The newest written commands, by `attemptKey`: at most 64. */
  get written(): ReadonlySet<string> {
    return this.#queue?.written ?? none;
  }

  /** Says something beside the action queue. An agent that does not read what it is answered loses its stream. */
  say(message: Outgoing): void {
    if (this.#beside.length >= maxBeside) {
      this.end(new ConnectError("answers are not being read", Code.ResourceExhausted));
      return;
    }
    this.#beside.push(message);
    this.wake();
  }

  /**
   * Asks the agent to register again, and ends this stream after all that waits: one that does not know the command registers again all
   * the same.
   */
  askToRegister(reason: string): void {
    if (this.ended) return;
    const value = create(RegistrationCommandSchema, { reason });
    this.say({ case: "registrationCommand", value });
    this.end();
  }

  /**
   * Acknowledges a report; the session's credit bounds how many wait. What only says that all is well goes along with what is written
   * next, mostly the host's next command: a packet less for each short one.
   */
  acknowledge(ack: ReportAcked): void {
    this.#acks.push(ack);
    const { outcome, stored } = ack;
    // The rest of its output follows, and it is done with.
    const isWaitedFor = outcome !== ReportOutcome.RECORDED || stored.length > 0;
    if (isWaitedFor || this.#acks.length > maxDelayedAcks) this.wake();
    else this.#ackTimer ??= setTimeout(() => this.wake(), ackDelayMs);
  }

  /** Acknowledgements that are not written yet. */
  get waitingAcks(): number {
    return this.#acks.length;
  }

  /** Asks for a status check of these components. Takes the place of what was asked and is not written yet. */
  check(checks: StatusCheck[]): void {
    this.#checks = checks;
    this.wake();
  }

  /** Acknowledges a report of alerts. An agent that does not read it and goes on reporting loses its stream. */
  acknowledgeAlerts(sequence: bigint): void {
    if (this.#alertAcks.length >= maxAlertAcks) {
      this.end(new ConnectError("acknowledgements are not being read", Code.ResourceExhausted));
      return;
    }
    this.#alertAcks.push(sequence);
    this.wake();
  }

  /** Says which alerts to watch. Takes the place of what was said and is not written yet. */
  watchAlerts(command: AlertDefinitionCommand): void {
    this.#alerts = command;
    this.wake();
  }

  /** Has an alert run. False when as many wait as may. */
  executeAlert(command: AlertExecutionCommand): boolean {
    if (this.#executions.length >= maxExecutions) return false;
    this.#executions.push(command);
    this.wake();
    return true;
  }

  /** Takes an execution of an alert back, if it is not written yet. */
  withdrawAlert(executionId: bigint): void {
    this.#executions = this.#executions.filter((one) => one.executionId !== executionId);
  }

  /** Ends the stream: with an error at once, without one after all that waits. Only the first end counts. */
  end(error?: ConnectError): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    if (error !== undefined) {
      // Also when the agent reads nothing.
      this.#isFull = false;
      clearTimeout(this.#ackTimer);
      this.failed();
    }
    this.wake();
  }

  /** Whether the end was said. */
  get ended(): boolean {
    return this.#end !== undefined;
  }

  /** Says that the action queue has something new. It is written a moment later, so that what comes together goes together. */
  wake(): void {
    if (this.#isAwake || this.#isFull) return;
    this.#isAwake = true;
    queueMicrotask(() => {
      this.#isAwake = false;
      this.#write();
    });
  }

  /** The transport takes more. */
  writable(): void {
    this.#isFull = false;
    this.#write();
  }

  #write(): void {
    if (this.#end?.error !== undefined) {
      this.stream.end(this.#end.error);
      return;
    }
    while (!this.#isFull) {
      const message = this.#next();
      if (message === undefined) {
        if (this.#end !== undefined) this.stream.end();
        return;
      }
      this.#isFull = !this.stream.send(create(ConnectResponseSchema, { message }));
    }
  }

  #next(): Outgoing | undefined {
    return (
      this.#beside.shift() ??
      this.#queue?.nextCancel() ??
      this.#takeAcks() ??
      this.#takeAlertAck() ??
      this.#takeChecks() ??
      this.#takeAlerts() ??
      this.#takeExecution() ??
      this.#queue?.nextCommand()
    );
  }

  #takeAcks(): Outgoing | undefined {
    clearTimeout(this.#ackTimer);
    this.#ackTimer = undefined;
    if (this.#acks.length === 0) return undefined;
    const acks = this.#acks.splice(0, maxAcks);
    return { case: "reportAck", value: create(ReportAckSchema, { acks }) };
  }

  #takeChecks(): Outgoing | undefined {
    if (this.#checks === undefined) return undefined;
    const value = create(StatusCommandSchema, { checks: this.#checks });
    this.#checks = undefined;
    return { case: "statusCommand", value };
  }

  #takeAlertAck(): Outgoing | undefined {
    const sequence = this.#alertAcks.shift();
    if (sequence === undefined) return undefined;
    return { case: "alertReportAck", value: create(AlertReportAckSchema, { sequence }) };
  }

  #takeAlerts(): Outgoing | undefined {
    const value = this.#alerts;
    this.#alerts = undefined;
    return value && { case: "alertDefinitionCommand", value };
  }

  #takeExecution(): Outgoing | undefined {
    const value = this.#executions.shift();
    return value && { case: "alertExecutionCommand", value };
  }
}
