import { randomBytes } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { AlertExecutionCommandSchema } from "@howdah/proto/howdah/v1/agent_service";
import type { AlertResult } from "@howdah/proto/howdah/v1/alert";
import {
  type ExecuteAlertRequest,
  type ExecuteAlertResponse,
  ExecuteAlertResponseSchema,
} from "@howdah/proto/howdah/v1/dispatcher_service";
import type { Session } from "../session.js";
import type { SessionRegistry } from "../session-registry.js";

/** Has agents run alerts, and waits for what they find. */
export interface AlertExecutions {
  /**
   * Has the hosts run an alert and tells one answer for each, as they come. Ends when all have answered or the time is up; rejects when the
   * signal aborts.
   */
  execute(request: ExecuteAlertRequest, signal: AbortSignal): AsyncGenerator<ExecuteAlertResponse>;
  /** Whether somebody waits for what this session finds in an execution. */
  expects(session: Session, executionId: bigint): boolean;
  /** It was found, and is committed. */
  found(session: Session, executionId: bigint, result: AlertResult): void;
  /** There will be no answer. */
  failed(session: Session, executionId: bigint, reason: string): void;
  /** There will be no answer of a session: it is over, or its agent cannot run alerts. */
  gaveUp(session: Session, reason: string): void;
}

type Answer = Pick<MessageInitShape<typeof ExecuteAlertResponseSchema>, "result" | "reason">;

/** A call that waits. */
interface Execution {
  readonly waiting: Map<bigint, Session>;
  answer(hostId: bigint, answer: Answer): void;
}

/** Makes it. Nothing is kept of a call that has ended, however it did. */
export function createAlertExecutions(
  registry: () => Pick<SessionRegistry, "ofHost">,
): AlertExecutions {
  const executions = new Map<bigint, Execution>();

  function answer(session: Session, executionId: bigint, what: Answer): void {
    const execution = executions.get(executionId);
    const { hostId } = session.identity;
    if (execution?.waiting.get(hostId) === session) execution.answer(hostId, what);
  }

  async function* execute(
    { cluster, name, hostIds, timeoutMs }: ExecuteAlertRequest,
    signal: AbortSignal,
  ) {
    const executionId = newId();
    const waiting = new Map<bigint, Session>();
    let answers: ExecuteAlertResponse[] = [];
    let wake = () => {};
    const execution: Execution = {
      waiting,
      answer(hostId, what) {
        waiting.delete(hostId);
        answers.push(create(ExecuteAlertResponseSchema, { hostId, ...what }));
        wake();
      },
    };
    const timer = setTimeout(() => {
      const reason = `its agent gave no answer within ${Number(timeoutMs) / 1_000} s`;
      for (const hostId of [...waiting.keys()]) execution.answer(hostId, { reason });
    }, Number(timeoutMs));
    const aborted = () => wake();
    signal.addEventListener("abort", aborted);
    executions.set(executionId, execution);
    try {
      const command = create(AlertExecutionCommandSchema, {
        ...{ executionId, name },
        ...(cluster && { cluster }),
      });
      for (const hostId of new Set(hostIds)) {
        const session = registry().ofHost(hostId);
        if (session === undefined) {
          execution.answer(hostId, { reason: "it is not connected" });
          continue;
        }
        waiting.set(hostId, session);
        if (session.outbox.executeAlert(command)) continue;
        execution.answer(hostId, { reason: "too many alerts wait to be run there" });
      }
      for (;;) {
        const batch = answers;
        answers = [];
        yield* batch;
        signal.throwIfAborted();
        if (answers.length > 0) continue;
        if (waiting.size === 0) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", aborted);
      executions.delete(executionId);
      for (const session of waiting.values()) session.outbox.withdrawAlert(executionId);
    }
  }

  return {
    execute,
    expects: (session, executionId) =>
      executions.get(executionId)?.waiting.get(session.identity.hostId) === session,
    found: (session, executionId, result) => answer(session, executionId, { result }),
    failed: (session, executionId, reason) => answer(session, executionId, { reason }),
    gaveUp(session, reason) {
      const { hostId } = session.identity;
      for (const execution of executions.values()) {
        if (execution.waiting.get(hostId) === session) execution.answer(hostId, { reason });
      }
    },
  };
}

/** An id that no execution of this process or of one before it has, so that a late result is never taken for another's. */
function newId(): bigint {
  return BigInt(randomBytes(6).readUIntBE(0, 6) + 1);
}
