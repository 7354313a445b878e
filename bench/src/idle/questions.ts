import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise";
import { type CountedStatement, kindsOf, type StatementKind } from "./statement-kinds.js";

/** What a server was asked over a while. */
export interface Asked {
  readonly seconds: number;
  /** The growth of its status `Questions`, without those of who counts. */
  readonly questions: number;
  /** What they were, by the server's general log; most frequent first. */
  readonly kinds: readonly StatementKind[];
}

/** Counts what a server is asked, with a connection of its own. */
export interface Questions {
  /** Counts over so long. Rejects when `signal` aborts, or when its log and its status tell of different numbers. */
  over(ms: number, signal: AbortSignal): Promise<Asked>;
  close(): Promise<void>;
}

/** Connects as an account that may read the general log. */
export async function openQuestions(url: string): Promise<Questions> {
  const connection = await createConnection({ uri: url, supportBigNumbers: true });
  return {
    over: (ms, signal) => askedOver(connection, ms, signal),
    close: () => connection.end(),
  };
}

async function askedOver(db: Connection, ms: number, signal: AbortSignal): Promise<Asked> {
  await db.query("set global general_log = off");
  await db.query("set global log_output = 'TABLE'");
  await db.query("truncate table mysql.general_log");
  await db.query("set global general_log = on");
  try {
    const before = await questions(db);
    const began = performance.now();
    await pause(ms, signal);
    const after = await questions(db);
    const seconds = (performance.now() - began) / 1_000;
    // One of them is the second look at the status itself.
    const asked = after - before - 1;
    const [rows] = await db.query<(RowDataPacket & CountedStatement)[]>(
      `select left(argument, 200) as text, count(*) as count from mysql.general_log
        where command_type in ('Query', 'Execute') and thread_id <> connection_id() group by left(argument, 200)`,
    );
    const kinds = kindsOf(rows);
    const logged = kinds.reduce((sum, { count }) => sum + count, 0);
    // What came between the looks at the status and at the log is in one of them only.
    if (Math.abs(logged - asked) > 10 + asked / 20) {
      throw new Error(`the server counts ${asked} statements, and its log has ${logged}`);
    }
    return { seconds, questions: asked, kinds };
  } finally {
    await db.query("set global general_log = off");
  }
}

async function questions(db: Connection): Promise<number> {
  const [rows] = await db.query<RowDataPacket[]>("show global status like 'Questions'");
  return Number(rows[0]?.Value);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const over = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
    };
    const stop = () => {
      over();
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      over();
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop);
  });
}
