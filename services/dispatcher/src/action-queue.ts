import type { CancelCommand } from "@howdah/proto/howdah/v1/agent_service";
import type { ExecutionCommand } from "@howdah/proto/howdah/v1/command";
import { type Attempt, attemptKey } from "./attempt-key.js";

/** What a host's action queue gives out next. */
export type Action =
  | { readonly case: "executionCommand"; readonly value: ExecutionCommand }
  | { readonly case: "cancelCommand"; readonly value: CancelCommand };

/** How many commands, and how many cancels, may wait for one host. */
export const maxQueuedActions = 1_000;
/** How many written commands are remembered by their ids. */
const maxRemembered = 64;

/**
 * The commands and cancels that wait to be written to one host's stream, in order; cancels go ahead of all commands that
 * are not written yet. A command whose cancel overtook it is written all the same: the agent refuses it then and says so,
 * and that word is what changes its status.
 */
export class ActionQueue {
  readonly #cancels = new Map<string, CancelCommand>();
  readonly #commands = new Map<string, ExecutionCommand>();
  /** Written, and no word of the agent yet whether it took them. */
  readonly #unacknowledged = new Map<string, ExecutionCommand>();
  /** Refused because a former attempt of the task is alive. */
  readonly #parked = new Map<bigint, ExecutionCommand>();
  /** The newest written ones, oldest first. */
  readonly #written = new Set<string>();

  /** Commands that wait here, those that wait for a former attempt to end among them. */
  get queuedCommands(): number {
    return this.#commands.size + this.#parked.size;
  }

  /** Puts a command at the end. False when the queue is full. One that is here already is not put twice. */
  addCommand(command: ExecutionCommand): boolean {
    const key = attemptKey(command);
    if (this.#commands.has(key) || this.#unacknowledged.has(key)) return true;
    if (this.#parked.get(command.taskId)?.attempt === command.attempt) return true;
    if (this.#commands.size + this.#unacknowledged.size >= maxQueuedActions) return false;
    this.#commands.set(key, command);
    return true;
  }

  /** Puts a cancel ahead of the commands. False when the queue is full. */
  addCancel(cancel: CancelCommand): boolean {
    const key = attemptKey(cancel);
    if (!this.#cancels.has(key) && this.#cancels.size >= maxQueuedActions) return false;
    this.#cancels.set(key, cancel);
    return true;
  }

  /** Takes out the next cancel. */
  nextCancel(): Action | undefined {
    for (const [key, value] of this.#cancels) {
      this.#cancels.delete(key);
      return { case: "cancelCommand", value };
    }
    return undefined;
  }

  /** Takes out the next command; ask for cancels first. It counts as written from here on. */
  nextCommand(): Action | undefined {
    for (const [key, value] of this.#commands) {
      this.#commands.delete(key);
      this.#unacknowledged.set(key, value);
      this.#remember(key);
      return { case: "executionCommand", value };
    }
    return undefined;
  }

  /** Whether the attempt waits here or was written, as far as that is remembered. */
  has(attempt: Attempt): boolean {
    const key = attemptKey(attempt);
    return (
      this.#commands.has(key) ||
      this.#unacknowledged.has(key) ||
      this.#written.has(key) ||
      this.#parked.get(attempt.taskId)?.attempt === attempt.attempt
    );
  }

  /** The newest written commands, by `attemptKey`: at most 64. */
  get written(): ReadonlySet<string> {
    return this.#written;
  }

  /** The agent has answered a command; it is returned if it was waiting for that answer. */
  answered(key: string): ExecutionCommand | undefined {
    const command = this.#unacknowledged.get(key);
    this.#unacknowledged.delete(key);
    return command;
  }

  /** Keeps a command until a former attempt of its task has ended. */
  park(command: ExecutionCommand): void {
    this.#parked.set(command.taskId, command);
  }

  /** An attempt has ended: the next one of its task, if it waits for that, is put into the queue again. */
  ended(taskId: bigint, attempt: number): boolean {
    const command = this.#parked.get(taskId);
    if (command === undefined || command.attempt <= attempt) return false;
    this.#parked.delete(taskId);
    return this.addCommand(command);
  }

  /** Puts all parked commands into the queue again, in case an end was missed. True if there were some. */
  unpark(): boolean {
    const parked = [...this.#parked.values()];
    this.#parked.clear();
    for (const command of parked) this.addCommand(command);
    return parked.length > 0;
  }

  #remember(key: string): void {
    this.#written.delete(key);
    this.#written.add(key);
    if (this.#written.size <= maxRemembered) return;
    for (const oldest of this.#written) {
      this.#written.delete(oldest);
      return;
    }
  }
}
