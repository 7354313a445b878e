import type { Knex } from "knex";
import type { Logger } from "pino";
import {
  readStreamStates,
  type StoredChunk,
  type StreamKey,
  type StreamState,
  streamName,
} from "../store/output.js";
import { join, untilWoken } from "./followers.js";

/** What a follower hears of its stream. */
export interface OutputNews {
  /** The stream's next bytes, from the offset it asked for, without a gap; none when they are not at hand. */
  readonly chunks: readonly Buffer[];
  /** The task may have changed. */
  readonly task: boolean;
  /** There may be bytes in the store that are not in `chunks`. */
  readonly store: boolean;
}

/** Follows one stream. */
export interface OutputFollower {
  /**
   * Resolves when there is something new for who has `offset` bytes and has seen `changeVersion` of the task, or when the signal aborts.
   * What is told in between two calls is told with the next one.
   */
  news(offset: number, changeVersion: number, signal: AbortSignal): Promise<OutputNews>;
  /** No more is kept for it. */
  close(): void;
}

/** Tells those who follow output when there is more. */
export interface OutputFeed {
  /** This replica has stored these. */
  appended(chunks: readonly StoredChunk[]): void;
  /** This replica has committed changes of these tasks, or output that came with them. */
  tasksChanged(taskIds: Iterable<number>): void;
  follow(key: StreamKey): OutputFollower;
}

const pollMs = 250;
/** What is kept for a follower that does not come to take it, and for all of them; what is more they read from the store. */
const mostBytes = 4 << 20;
const mostBytesInAll = 64 << 20;

/** A follower as the feed sees it. */
interface Following {
  readonly key: StreamKey;
  chunks: StoredChunk[];
  bytes: number;
  task: boolean;
  store: boolean;
  /** Set while it waits. */
  waiting: { offset: number; changeVersion: number; wake: () => void } | undefined;
}

/**
 * What this replica stores is handed on at once, without a look at the database. What others store is found by one query per 250 ms for
 * all who wait, and none while nobody does. All but the bytes are hints: who is woken reads for himself.
 */
export function createOutputFeed(db: Knex, log: Logger): OutputFeed {
  const streams = new Map<string, Set<Following>>();
  const tasks = new Map<number, Set<Following>>();
  let bytesInAll = 0;
  let timer: NodeJS.Timeout | undefined;

  const costOf = ({ data }: StoredChunk) => data.buffer.byteLength; // it stays as a whole
  const waiting = () => [...streams.values()].flatMap((all) => [...all].filter((f) => f.waiting));

  function take(following: Following): StoredChunk[] {
    const { chunks } = following;
    bytesInAll -= following.bytes;
    following.chunks = [];
    following.bytes = 0;
    return chunks;
  }

  function hand(following: Following, chunk: StoredChunk): void {
    const cost = costOf(chunk);
    if (following.bytes + cost > mostBytes || bytesInAll + cost > mostBytesInAll) {
      take(following);
      following.store = true;
    } else {
      following.chunks.push(chunk);
      following.bytes += cost;
      bytesInAll += cost;
    }
    following.waiting?.wake();
  }

  async function poll(): Promise<void> {
    const asking = waiting();
    try {
      const states = await readStreamStates(
        db,
        new Map(asking.map(({ key }) => [streamName(key), key])).values(),
      );
      for (const following of asking) compare(following, states.get(streamName(following.key)));
    } catch (error) {
      log.warn({ err: error }, "the lengths of followed output could not be read");
      // Whoever reads for himself now finds out, and can tell his caller.
      for (const following of asking) compare(following, undefined);
    }
    timer = undefined;
    schedule();
  }

  function compare(following: Following, state: StreamState | undefined): void {
    const { waiting: waits } = following;
    if (waits === undefined) return;
    const unknown = state === undefined || state.changeVersion === null;
    if (unknown || state.length > waits.offset) following.store = true;
    if (unknown || state.changeVersion !== waits.changeVersion) following.task = true;
    if (following.store || following.task) waits.wake();
  }

  function schedule(): void {
    if (timer !== undefined || waiting().length === 0) return;
    timer = setTimeout(() => void poll(), pollMs).unref();
  }

  function newsOf(following: Following, offset: number): OutputNews {
    const { task } = following;
    let { store } = following;
    following.task = false;
    following.store = false;
    const chunks: Buffer[] = [];
    let at = offset;
    for (const { position, data } of take(following)) {
      if (position + data.length <= at) continue;
      if (position > at) {
        store = true;
        break;
      }
      chunks.push(data.subarray(at - position));
      at = position + data.length;
    }
    return { chunks, task, store };
  }

  return {
    appended(chunks) {
      for (const chunk of chunks) {
        for (const following of streams.get(streamName(chunk)) ?? []) hand(following, chunk);
      }
    },
    tasksChanged(taskIds) {
      for (const taskId of taskIds) {
        for (const following of tasks.get(taskId) ?? []) {
          following.task = true;
          following.store = true;
          following.waiting?.wake();
        }
      }
    },
    follow(key) {
      const following: Following = {
        ...{ key, chunks: [], bytes: 0, task: false, store: false, waiting: undefined },
      };
      const leaveStream = join(streams, streamName(key), following);
      const leaveTask = join(tasks, key.taskId, following);
      return {
        async news(offset, changeVersion, signal) {
          for (;;) {
            const news = newsOf(following, offset);
            if (news.task || news.store || news.chunks.length > 0 || signal.aborted) return news;
            await untilWoken(signal, (wake) => {
              following.waiting = { offset, changeVersion, wake };
              schedule();
            });
            following.waiting = undefined;
          }
        },
        close() {
          leaveStream();
          leaveTask();
          take(following);
        },
      };
    },
  };
}
