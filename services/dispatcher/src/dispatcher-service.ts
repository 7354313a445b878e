import { create } from "@bufbuild/protobuf";
import { Code, type ServiceImpl } from "@connectrpc/connect";
import { CancelCommandSchema } from "@howdah/proto/howdah/v1/agent_service";
import type {
  CommandCancel,
  DispatcherService,
  EnqueuedCommand,
} from "@howdah/proto/howdah/v1/dispatcher_service";
import { type AlertCallParts, createAlertCalls } from "./alerts/alert-calls.js";
import { attemptKey } from "./attempt-key.js";
import type { Deliveries } from "./deliveries.js";
import { invalid } from "./invalid.js";
import { probeTimeoutMs } from "./open-session.js";
import type { SchedulerFence } from "./scheduler-token.js";
import type { SessionRegistry } from "./session-registry.js";
import { checksByHost } from "./status-commands.js";

/** What serving schedulers and other dispatchers needs. */
export interface DispatcherServiceParts extends AlertCallParts {
  readonly registry: SessionRegistry;
  readonly deliveries: Deliveries;
  readonly fence: SchedulerFence;
  /** True once this dispatcher is going away: commands are handed back. */
  draining(): boolean;
  /** Takes note of a session that the store has as ours and that is not here. */
  missing(hostId: bigint, sessionEpoch: bigint): void;
}

const maxInCall = 1_000;

/** Makes the service that schedulers and other dispatchers call. */
export function createDispatcherService(
  parts: DispatcherServiceParts,
): ServiceImpl<typeof DispatcherService> {
  const { registry, deliveries, fence } = parts;

  /** Whether the command is in a queue now, or was on a stream: anything but proof that it never was. */
  function enqueue({ sessionEpoch, command }: EnqueuedCommand): boolean {
    if (command === undefined) throw invalid("commands: a command is missing");
    const session = registry.find(command.hostId, sessionEpoch);
    if (session === undefined) {
      // The host may have registered anew since the command was released: then the store gave it to the new session.
      const newer = registry.ofHost(command.hostId)?.outbox.queue.has(command) === true;
      // Without that proof it is kept back: the store gives it to the host's next session, unless the journal has it.
      return newer || !registry.neverWritten(command.hostId, sessionEpoch, attemptKey(command));
    }
    if (parts.draining()) return session.outbox.queue.has(command);
    if (!session.outbox.queue.addCommand(command)) return false;
    session.outbox.wake();
    return true;
  }

  function cancel({ hostId, taskId, attempt, reason }: CommandCancel): boolean {
    const session = registry.ofHost(hostId);
    if (session === undefined) return false;
    const command = create(CancelCommandSchema, { taskId, attempt, reason });
    if (session.outbox.queue.addCancel(command)) {
      session.outbox.wake();
      return true;
    }
    // It reads nothing; when it registers again it is told what is cancelled.
    session.drop("cancels are not being read", Code.ResourceExhausted);
    return false;
  }

  return {
    ...createAlertCalls(parts),
    enqueueCommands({ schedulerToken, commands }) {
      fence.check(schedulerToken);
      checkCount("commands", commands.length);
      const refused = commands.filter((one) => !enqueue(one));
      return { refusedTaskIds: refused.map(({ command }) => command?.taskId ?? 0n) };
    },
    cancelCommands({ schedulerToken, cancels }) {
      fence.check(schedulerToken);
      checkCount("cancels", cancels.length);
      const absent = cancels.filter((one) => !cancel(one));
      return { absentTaskIds: absent.map(({ taskId }) => taskId) };
    },
    sendStatusCommands({ schedulerToken, checks }) {
      fence.check(schedulerToken);
      for (const [hostId, ofHost] of checksByHost(checks)) {
        registry.ofHost(hostId)?.outbox.check(ofHost);
      }
      return {};
    },
    sendRegistrationCommands({ schedulerToken, sessions, reason }) {
      fence.check(schedulerToken);
      checkCount("sessions", sessions.length);
      for (const { hostId, sessionEpoch } of sessions) {
        registry.find(hostId, sessionEpoch)?.outbox.askToRegister(reason);
      }
      return {};
    },
    listSessions() {
      const sessions = registry.all().map((session) => session.toMessage());
      sessions.sort((a, b) => (a.hostId < b.hostId ? -1 : 1));
      return { sessions };
    },
    async probeSession({ hostId, sessionEpoch }) {
      const session = registry.find(hostId, sessionEpoch);
      if (session !== undefined) return { alive: await session.probe(probeTimeoutMs) };
      const other = registry.ofHost(hostId);
      if (other === undefined || other.identity.epoch < sessionEpoch) {
        parts.missing(hostId, sessionEpoch);
      }
      return { alive: false };
    },
    async *watchDeliveries({ schedulerToken }, { signal }) {
      fence.check(schedulerToken);
      yield* deliveries.watch(schedulerToken, signal);
    },
  };
}

function checkCount(field: string, count: number): void {
  if (count > maxInCall) throw invalid(`${field}: ${count} in one call, at most ${maxInCall}`);
}
