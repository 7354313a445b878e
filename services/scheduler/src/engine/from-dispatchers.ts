import type { Session } from "@howdah/proto/howdah/v1/dispatcher_service";
import { type TaskChange, TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import type { Logger } from "pino";
import type { Agenda } from "./agenda.js";
import type { DispatcherEvents, ReleasedCommand } from "./dispatcher-link.js";
import { type HandOverOptions, handOverCancels } from "./hand-over.js";
import type { OfflineExpiry } from "./offline-expiry.js";

/** What is told of what dispatchers say. */
export interface FromDispatchersOptions {
  readonly agenda: Agenda;
  readonly expiry: OfflineExpiry;
  readonly handing: HandOverOptions;
  readonly log: Logger;
  /** Called with each change of a task. */
  readonly changed: (change: TaskChange) => void;
  /** Called when there is something to look at. */
  readonly wake: () => void;
  /** Called when another scheduler has taken over. */
  readonly superseded: () => void;
}

/** What dispatchers tell, and what the engine is to look at for it. */
export class FromDispatchers implements DispatcherEvents {
  constructor(private readonly options: FromDispatchersOptions) {}

  sessions(dispatcher: string, sessions: readonly Session[]): void {
    const { agenda, expiry } = this.options;
    agenda.queues.dispatcherHas(dispatcher, new Set(sessions.map(({ hostId }) => hostId)));
    for (const session of sessions) this.opened(dispatcher, session);
    expiry.hostsLeft();
  }

  outOfReach(dispatcher: string): void {
    const { agenda, expiry } = this.options;
    agenda.queues.dispatcherHas(dispatcher, new Set());
    expiry.hostsLeft();
  }

  opened(dispatcher: string, { hostId, sessionEpoch: epoch }: Session): void {
    const { agenda, handing, wake } = this.options;
    const { queues } = agenda;
    if (!queues.opened(hostId, { dispatcher, epoch })) return;
    agenda.lookAtHost(hostId);
    // Some may have been recorded while nobody could tell the agent.
    handOverCancels(handing, queues.cancelling(hostId));
    wake();
  }

  closed(hostId: bigint, epoch: bigint): void {
    const { agenda, expiry } = this.options;
    agenda.queues.closed(hostId, epoch);
    expiry.hostsLeft();
  }

  changed(changes: readonly TaskChange[]): void {
    const { changed, wake } = this.options;
    for (const change of changes) changed(change);
    wake();
  }

  undelivered(taskIds: readonly bigint[]): void {
    // Nothing is lost: when the host registers again its dispatcher sends what its journal lacks; when it stays, the resend timer does.
    const { log } = this.options;
    log.warn({ tasks: taskIds.length }, "commands not handed over, to be sent again");
  }

  refused(commands: readonly ReleasedCommand[]): void {
    const { agenda, expiry, wake } = this.options;
    const { queues, runs } = agenda;
    for (const { command, sessionEpoch } of commands) {
      // Else it would be released to the same session again, and again.
      queues.closed(command.hostId, sessionEpoch);
      const task = runs.get(command.requestId)?.task(command.taskId);
      if (task === undefined) continue;
      const { attempt } = command;
      agenda.want({ task, attempt, event: TaskEvent.NEVER_STARTED, sessionEpoch });
    }
    expiry.hostsLeft();
    wake();
  }

  superseded(): void {
    const { log, superseded } = this.options;
    log.warn("a dispatcher knows a newer scheduler: this one stops leading");
    superseded();
  }
}
