import type { ConnectError } from "@connectrpc/connect";
import type { RequestTransitionsResult } from "@howdah/proto/howdah/v1/store_transitions";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { openStatuses } from "@howdah/state/statuses";
import type { Agenda } from "./agenda.js";
import type { Batch, BatchPart } from "./batch.js";
import type { CommitWaiters } from "./commit-waiters.js";
import { type HandOverOptions, handOverCancels, handOverCommands } from "./hand-over.js";
import { type RecordOptions, recordBatch } from "./record-batch.js";
import type { RequestRun } from "./request-run.js";
import type { ToldChange } from "./run-task.js";
import type { SetAside } from "./set-aside.js";
import type { StoreReader } from "./store-reader.js";

/** Thrown when a higher token owns a request: this scheduler is no longer the active one. */
export class StaleOwnerError extends Error {
  override readonly name = "StaleOwnerError";
}

/** What recording needs, and what it tells. */
export interface RecorderOptions extends RecordOptions {
  readonly agenda: Agenda;
  readonly handing: HandOverOptions;
  readonly reader: StoreReader;
  readonly asides: SetAside;
  readonly waiters: CommitWaiters<RequestRun>;
  /** Called with each task that changed. */
  changed(change: ToldChange): void;
}

/** Records what the agenda gathered, and sees to what follows from the store's answers. */
export class Recorder {
  constructor(private readonly options: RecorderOptions) {}

  /** Resolves once the store has answered about all of it, or the signal aborts. Rejects with StaleOwnerError. */
  async record(batch: Batch, signal: AbortSignal): Promise<void> {
    const { handing, agenda } = this.options;
    await recordBatch(this.options, batch, signal, {
      recorded: ({ entries }, results) => {
        for (const [at, part] of entries.entries()) this.recorded(part, results[at]);
        handOverCommands(handing, results);
        agenda.unhold();
      },
      refused: (part, error) => this.refused(part, error),
    });
  }

  private refused(part: BatchPart, error: ConnectError): void {
    const { asides, waiters, agenda } = this.options;
    waiters.refused(part.run, asides.refused(part, error));
    agenda.lookAt(part.run);
    agenda.unhold();
  }

  private recorded(part: BatchPart, result: RequestTransitionsResult | undefined): void {
    const { run, tasks } = part;
    if (result === undefined) return;
    if (result.staleOwner) {
      throw new StaleOwnerError(`another scheduler owns request ${run.requestId}`);
    }
    const { agenda, asides, handing, reader } = this.options;
    const { changes, commands } = result;
    asides.recorded(run);
    run.marked(part);
    for (const change of changes) this.options.changed(change);
    const answered = new Set<bigint>();
    for (const { taskId } of changes) answered.add(taskId);
    for (const { taskId } of commands) answered.add(taskId);
    // What is paused is not released: that needs no reading to be understood.
    const isHalted = result.paused && run.halt();
    const halted = (at: number) => isHalted && part.transitions[at]?.event === TaskEvent.RELEASED;
    run.answered(tasks.filter((task, at) => halted(at) || answered.has(task.taskId)));
    for (const [at, task] of tasks.entries()) run.resolved(task, part.transitions[at]?.event);
    if (isHalted && run.pauseReason === "") reader.look(run);
    agenda.lookAt(run);
    handOverCancels(
      handing,
      tasks.filter((task) => task.cancelRequested && openStatuses.has(task.status)),
    );
    // What was skipped is not as it was thought to be: it is read anew before it is asked for again.
    if (tasks.some((task) => task.asked)) reader.skipped(run);
  }
}
