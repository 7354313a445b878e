/**
 * What identifies one attempt of one task for ever. The store's id is part of it: a re-created database numbers its
 * tasks anew and must not meet old answers.
 */
export interface TaskKey {
  /** The store's random id: letters, digits, `_` and `-`, at most 64. */
  readonly storeId: string;
  /** The task's id in decimal digits: a string, because it may exceed 2^53 and must survive JSON. */
  readonly taskId: string;
  /** Counts from 1. */
  readonly attempt: number;
}

/** Thrown when a key can't be used: it names files and an environment variable, so its form is strict. */
export class TaskKeyError extends Error {
  override readonly name = "TaskKeyError";
}

/** The last store id that was found to be one. */
let lastStoreId = "";
/** The last key that was asked for, and its text. */
let lastKey: TaskKey | undefined;
let lastText = "";

/** `store:task:attempt`, unique for a key; also the value of the processes' tag `HOWDAH_TASK`. Throws `TaskKeyError`. */
export function keyText(key: TaskKey): string {
  // This is asked some thirty times for each command: mostly again for the same key, and there is one store.
  if (key === lastKey) return lastText;
  if (key.storeId !== lastStoreId) {
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(key.storeId)) {
      throw new TaskKeyError(
        `the store id ${JSON.stringify(key.storeId)} must be 1 to 64 letters, digits, "_" or "-"`,
      );
    }
    lastStoreId = key.storeId;
  }
  if (!/^[0-9]{1,20}$/.test(key.taskId)) {
    throw new TaskKeyError(`the task id ${JSON.stringify(key.taskId)} must be a decimal number`);
  }
  if (!Number.isSafeInteger(key.attempt) || key.attempt < 1) {
    throw new TaskKeyError(`the attempt ${key.attempt} of task ${key.taskId} must be 1 or more`);
  }
  lastText = `${key.storeId}:${key.taskId}:${key.attempt}`;
  lastKey = key;
  return lastText;
}

/** The name of the key's own folder. */
export function keyFolderName(key: TaskKey): string {
  return keyText(key).replaceAll(":", ".");
}
