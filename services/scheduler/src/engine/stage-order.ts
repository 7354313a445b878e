import { ordinal } from "@howdah/state/failure-text";
import { liveStatuses } from "@howdah/state/statuses";
import { noTurn, type Portion, type ReleaseOrder, type Turn } from "./release-order.js";
import type { RunTask } from "./run-task.js";

interface Batch extends Portion {
  /** It has been opened: no pause comes before it any more. */
  begun: boolean;
}

interface Stage {
  readonly batches: (Batch | undefined)[];
  unfinished: number;
  /** Every batch before this one is done. */
  at: number;
}

/** With barriers: a stage is due when the one before is done and has succeeded; within it, batch after batch, with a pause between. */
export class StageOrder implements ReleaseOrder {
  private readonly stages: Stage[];
  /** Every stage before this one is done and has succeeded. */
  private from = 0;
  private open: Batch | undefined;
  /** The batch that the pause is before. */
  private waiting: Batch | undefined;

  /**
   * @param pauseMs between two batches of a stage
   * @param hasFailed whether a stage that is done ends the request
   */
  constructor(
    stages: number,
    private readonly pauseMs: number,
    private readonly hasFailed: (stageId: number) => boolean,
  ) {
    this.stages = Array.from({ length: stages }, () => ({ batches: [], unfinished: 0, at: 0 }));
  }

  private stageOf(task: RunTask): Stage {
    const stage = this.stages[task.stageId];
    if (stage !== undefined) return stage;
    throw new Error(
      `request ${task.requestId}: task ${task.taskId} is of stage ${task.stageId}, which it has not`,
    );
  }

  portionOf(task: RunTask): Portion {
    const { batches } = this.stageOf(task);
    let batch = batches[task.batch];
    if (batch === undefined) {
      batch = { tasks: [], unfinished: 0, open: false, since: 0, rank: 0, begun: false };
      batches[task.batch] = batch;
    }
    // After a take-over: some of it was released before.
    if (liveStatuses.has(task.status)) batch.begun = true;
    return batch;
  }

  changed(task: RunTask, unfinished: -1 | 0 | 1): void {
    if (unfinished === 0) return;
    const stage = this.stageOf(task);
    stage.unfinished += unfinished;
    this.portionOf(task).unfinished += unfinished;
    if (unfinished < 0) return;
    this.from = Math.min(this.from, task.stageId);
    stage.at = Math.min(stage.at, task.batch);
  }

  moveOn(): Turn {
    const due = this.due();
    if (due === undefined || due.batch === this.open) return noTurn;
    const closed = this.close();
    const { batch, isFirst } = due;
    if (!isFirst && this.pauseMs > 0 && !batch.begun) {
      const begins = this.waiting !== batch;
      this.waiting = batch;
      return { opened: [], closed, restMs: begins ? this.pauseMs : 0 };
    }
    batch.begun = true;
    batch.open = true;
    this.open = batch;
    this.waiting = undefined;
    return { opened: [batch], closed, restMs: 0 };
  }

  private close(): Portion[] {
    const { open } = this;
    if (open === undefined) return [];
    open.open = false;
    this.open = undefined;
    return [open];
  }

  /** The first batch that is not done of the first stage that is not, or that failed; undefined when there is none. */
  private due(): { batch: Batch; isFirst: boolean } | undefined {
    for (; this.from < this.stages.length; this.from += 1) {
      const stage = this.stages[this.from];
      if (stage === undefined) return undefined;
      for (; stage.unfinished > 0 && stage.at < stage.batches.length; stage.at += 1) {
        const batch = stage.batches[stage.at];
        if (batch !== undefined && batch.unfinished > 0) return { batch, isFirst: stage.at === 0 };
      }
      if (this.hasFailed(this.from)) return undefined;
    }
    return undefined;
  }

  rested(): void {
    if (this.waiting !== undefined) this.waiting.begun = true;
  }

  waitsFor({ stageId, batch }: RunTask) {
    const stage = this.stages[this.from];
    if (stage === undefined || stageId !== this.from) {
      const text = `stage ${ordinal(this.from)} is not done: ${stage?.unfinished ?? 0} of its tasks wait, run or are held`;
      return { kind: "STAGE" as const, text };
    }
    if (this.waiting !== undefined && this.waiting === stage.batches[batch]) {
      return {
        kind: "BATCH" as const,
        text: `the pause before batch ${ordinal(batch)} is not over`,
      };
    }
    const left = stage.batches[stage.at]?.unfinished ?? 0;
    const text = `batch ${ordinal(stage.at)} is not done: ${left} of its tasks wait, run or are held`;
    return { kind: "BATCH" as const, text };
  }
}
