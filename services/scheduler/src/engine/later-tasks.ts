import { PendingTasks } from "./pending-tasks.js";
import type { RunTask } from "./run-task.js";

/** What must be known of the order in which a request's tasks become due. */
export interface DueOrder {
  /** Of two tasks on a host the one with the higher rank is the more urgent. */
  rankOf(task: RunTask): number;
  /** How many roles must still be done, one after the other, before the task is due. */
  rolesBefore(task: RunTask): number;
}

/**
 * Tasks that are not due yet, in a request without barriers, and what they mean for those that are. A host runs what it was sent in the
 * order in which that came, one after the other: what is sent ahead cannot be overtaken by something more urgent that becomes due
 * meanwhile. So a host is sent no more ahead than there are roles that must follow each other before something more urgent of its own
 * is due; when there is only one left, it is sent the next command when it has nothing to do.
 */
export class LaterTasks {
  private readonly tasks: PendingTasks;

  constructor(private readonly order: DueOrder) {
    this.tasks = new PendingTasks((task) => order.rankOf(task));
  }

  /** A task is not due yet. */
  add(task: RunTask): void {
    this.tasks.remove(task);
    this.tasks.add(task);
  }

  /** It is due, or will not be any more. */
  remove(task: RunTask): void {
    this.tasks.remove(task);
  }

  /** How many commands that have not ended the task's host may have, this one among them. Looks at the host's tasks only. */
  most(task: RunTask): number {
    const rank = this.order.rankOf(task);
    let most = Number.POSITIVE_INFINITY;
    for (const later of this.tasks.of(task.hostId)) {
      if (this.order.rankOf(later) <= rank) break;
      most = Math.min(most, this.order.rolesBefore(later));
    }
    // A role that is about to be opened counts as one that is.
    return Math.max(1, most);
  }
}
