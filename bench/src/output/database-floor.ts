import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise";

/** How the chunks come. */
export interface FloorChunks {
  readonly streams: number;
  readonly bytesEach: number;
  readonly chunkBytes: number;
}

/** The chunks of output straight into MySQL. */
export interface DatabaseFloor {
  /** Bytes a second, with so many connections at once. */
  rate(chunks: FloorChunks, connections: number): Promise<number>;
  close(): Promise<void>;
}

const statementBytes = 1 << 20;
const selectLast = `select v.task_id as taskId, coalesce((
    select o.position + length(o.data) from floor_output o
    where o.task_id = v.task_id and o.attempt = 1 and o.stream = 1
    order by o.position desc limit 1), 0) as length
  from json_table(?, '$[*]' columns (task_id bigint path '$[0]')) as v`;

/**
 * The simplest program that keeps output as the store does: a table like its own, a MiB a statement, each chunk where the last one ends (read
 * before, and the primary key), and durable commits. Statements are prepared, so that bytes go as they are.
 */
export async function openDatabaseFloor(
  url: string,
  mostConnections: number,
): Promise<DatabaseFloor> {
  const open = () => createConnection(url);
  const connections = await Promise.all(Array.from({ length: mostConnections }, open));
  const [first] = connections as [Connection];
  await first.query("create table if not exists floor_output like task_output");
  return {
    async rate({ streams, bytesEach, chunkBytes }, used) {
      await first.query("truncate table floor_output");
      const shares = Array.from({ length: used }, (_, n) =>
        Array.from({ length: streams }, (_, at) => at + 1).filter((at) => at % used === n),
      );
      const data = Buffer.alloc(chunkBytes, "what a command writes, a line of it, and so on\n");
      const began = performance.now();
      await Promise.all(
        shares.map((taskIds, n) => keep(connections[n] ?? first, taskIds, bytesEach, data)),
      );
      return (streams * bytesEach) / ((performance.now() - began) / 1_000);
    },
    async close() {
      await first.query("drop table floor_output");
      await Promise.all(connections.map((connection) => connection.end()));
    },
  };
}

/** Keeps the streams of these tasks: of each as much as the others have, a chunk in turn. */
async function keep(
  connection: Connection,
  taskIds: readonly number[],
  bytesEach: number,
  data: Buffer,
): Promise<void> {
  const atOnce = Math.max(1, Math.min(taskIds.length, Math.floor(statementBytes / data.length)));
  const written = new Map<number, number>(taskIds.map((taskId) => [taskId, 0]));
  while (written.size > 0) {
    const next = [...written.keys()].slice(0, atOnce);
    const [rows] = await connection.execute<RowDataPacket[]>(selectLast, [
      JSON.stringify(next.map((taskId) => [taskId])),
    ]);
    const stored = new Map(rows.map(({ taskId, length }) => [Number(taskId), Number(length)]));
    const values = next.flatMap((taskId) => {
      const position = written.get(taskId) ?? 0;
      if (stored.get(taskId) !== position) throw new Error(`task ${taskId} has a gap`);
      const chunk = data.subarray(0, bytesEach - position);
      // Those that had their turn go to the end.
      written.delete(taskId);
      if (position + chunk.length < bytesEach) written.set(taskId, position + chunk.length);
      return [taskId, 1, 1, position, chunk];
    });
    await connection.execute(
      `insert into floor_output (task_id, attempt, stream, position, data) values ${next.map(() => "(?, ?, ?, ?, ?)").join(", ")}`,
      values,
    );
  }
}
