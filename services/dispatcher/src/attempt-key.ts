/** An attempt of a task: what every command, report and verdict is about. */
export interface Attempt {
  readonly taskId: bigint;
  readonly attempt: number;
}

/** The attempt as the key of a map. */
export function attemptKey({ taskId, attempt }: Attempt): string {
  return `${taskId}/${attempt}`;
}
