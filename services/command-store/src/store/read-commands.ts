import { query } from "../database/query.js";
import type { Database } from "../database/together.js";

/** What is tasks' own in what they run, serialised CommandSpecs by task id; empty of those that share all of it. */
export async function readOwnCommands(
  db: Database,
  taskIds: readonly number[],
): Promise<Map<number, Buffer>> {
  if (taskIds.length === 0) return new Map();
  const rows = await query<{ taskId: number; command: Buffer }>(
    db,
    "select task_id as taskId, command from execution_command where task_id in (?)",
    [taskIds],
  );
  return new Map(rows.map(({ taskId, command }) => [taskId, command]));
}
