import { setMaxListeners } from "node:events";
import type { Logger } from "pino";
import type { CommandResult, JournalEntry } from "../journal/entry.js";
import type { AcceptAnswer, Journal } from "../journal/journal.js";
import type { Json } from "../json.js";
import { keyText, type TaskKey } from "../task-key.js";
import { Cancel } from "./cancel.js";
import { findOrphans } from "./record-folders.js";
import {
  type CommandContext,
  makeFilesAhead,
  neverStartedResult,
  runCommand,
} from "./run-command.js";

/** What a queue that runs commands on this host needs. */
export interface QueueOptions extends Omit<CommandContext, "detach">, QueueTells {}

/** What any queue needs. */
export interface RunQueueOptions extends QueueTells {
  readonly journal: Journal;
  readonly log: Logger;
  /**
   * Runs a command that the journal holds as RUNNING to its end; it may have begun under a former queue. Rejects when detached: then
   * what runs goes on.
   */
  readonly run: (
    entry: JournalEntry,
    cancel: Cancel,
    detach: AbortSignal,
  ) => Promise<CommandResult>;
  /**
   * Told of a command whose start is being journalled, and that runs next if nothing comes between: for what may be done before that is
   * durable. Never throws. Default: nothing.
   */
  readonly ahead?: (entry: JournalEntry) => void;
  /** Whether another attempt of the task runs that the journal does not know. Default: none. */
  readonly hasLiveOrphan?: (key: TaskKey) => boolean;
}

/** How a queue orders its commands, and whom it tells. */
export interface QueueTells {
  /** Commands of one lane run one at a time, in the journal's order; lanes run beside each other. Default: one lane. */
  readonly laneOf?: (entry: JournalEntry) => string;
  /** A command is in the journal and will run in its turn. Told again after a restart of the agent. */
  readonly onQueued?: (entry: JournalEntry) => void;
  /** Waited for before a command takes its turn, for as long as it must not run beside something else. Never rejects. */
  readonly mayStart?: (entry: JournalEntry) => Promise<void>;
  /** A command's first step is about to start. Not told again after a restart of the agent. */
  readonly onStarted?: (entry: JournalEntry) => void;
  /** A result is in the journal. */
  readonly onEnded?: (entry: JournalEntry) => void;
  /** The journal can't be written any more: end the process. Running commands go on, the next agent takes them up. */
  readonly onBroken: (error: Error) => void;
}

/** Runs the journal's commands. */
export interface CommandQueue {
  /** Journals a command and queues it when that says it may run. Rejects as `Journal.accept` does. */
  accept(key: TaskKey, command: Json): Promise<AcceptAnswer>;
  /**
   * Cancels: a queued command ends ABORTED at once, a running one when its processes are gone, one that has not come
   * when it comes. Resolves when the cancel is in the journal, not when the command has ended.
   */
  cancel(key: TaskKey, reason: string): Promise<void>;
  /** Commands that wait or run. */
  open(): number;
  /** The entries of the commands that wait or run, in no order. */
  openEntries(): JournalEntry[];
  /** Resolves when none waits or runs. */
  idle(): Promise<void>;
  /** Starts nothing any more and leaves what runs alone. */
  close(): Promise<void>;
}

interface Running {
  readonly key: TaskKey;
  readonly cancel: Cancel;
}

/** Takes up what the journal holds unfinished, in its order, and then what is accepted, and runs it on this host. */
export function openQueue(options: QueueOptions): CommandQueue {
  return openRunQueue({
    ...options,
    run: (entry, cancel, detach) => runCommand(entry, cancel.signal, { ...options, detach }),
    ahead: (entry) => makeFilesAhead(entry, options),
    hasLiveOrphan: findOrphans(options.folders, options.journal),
  });
}

/** The same with another way to run a command. */
export function openRunQueue(options: RunQueueOptions): CommandQueue {
  const { journal, log, hasLiveOrphan = () => false } = options;
  const laneOf = options.laneOf ?? (() => "commands");
  const detach = new AbortController();
  setMaxListeners(0, detach.signal); // each lane listens
  const waiting = new Map<string, TaskKey>();
  const running = new Map<string, Running>();
  const lanes = new Map<string, Promise<void>>();
  /** Those whose start is being journalled, or is, and that have not taken their turn. */
  const begun = new Map<string, Promise<void>>();
  const reserved = new Set<string>();
  let idle: (() => void)[] = [];

  for (const entry of journal.entries()) if (entry.state !== "ENDED") enqueue(entry);

  function enqueue(entry: JournalEntry): void {
    const text = keyText(entry.key);
    const lane = laneOf(entry);
    waiting.set(text, entry.key);
    options.onQueued?.(entry);
    const turn = (lanes.get(lane) ?? Promise.resolve())
      .then(() => (waiting.has(text) ? options.mayStart?.(entry) : undefined))
      .then(() => takeTurn(text, entry.key));
    lanes.set(lane, turn);
    void turn.then(() => {
      if (lanes.get(lane) === turn) lanes.delete(lane);
    });
  }

  /** Never rejects: the next in the lane follows. */
  async function takeTurn(text: string, key: TaskKey): Promise<void> {
    const entry = journal.entry(key);
    if (detach.signal.aborted || !waiting.delete(text) || !entry) return;
    const cancel = new Cancel();
    running.set(text, { key, cancel });
    try {
      if (entry.cancel) cancel.abort(entry.cancel.reason);
      await end(key, await run(entry, cancel));
    } catch (error) {
      if (!detach.signal.aborted) broken(error as Error);
    } finally {
      running.delete(text);
      tellIdle();
    }
  }

  async function run(entry: JournalEntry, cancel: Cancel): Promise<CommandResult> {
    const text = keyText(entry.key);
    const starting = begun.get(text);
    begun.delete(text);
    const goesOn = entry.state !== "RECEIVED" && starting === undefined;
    if (goesOn) return options.run(entry, cancel, detach.signal);
    if (cancel.reason !== undefined) return neverStartedResult(entry);
    await (starting ?? journal.started(entry.key));
    const started = journal.entry(entry.key) ?? entry;
    options.onStarted?.(started);
    return options.run(started, cancel, detach.signal);
  }

  async function end(key: TaskKey, result: CommandResult): Promise<void> {
    await journal.ended(key, result);
    const entry = journal.entry(key);
    if (entry) options.onEnded?.(entry);
  }

  function broken(error: Error): void {
    log.error({ err: error }, "commands can't be run any more");
    detach.abort(error);
    options.onBroken(error);
  }

  function tellIdle(): void {
    if (waiting.size + running.size > 0) return;
    for (const resolve of idle) resolve();
    idle = [];
  }

  /**
   * Has a command that was just given to the journal started in it too, when nothing is before it: the two records share one write to the
   * disk. Returns its lane, which is reserved until it waits there.
   */
  function startAlong(key: TaskKey): string | undefined {
    const entry = journal.entry(key);
    if (entry?.state !== "RECEIVED") return undefined;
    const lane = laneOf(entry);
    if (lanes.has(lane) || reserved.has(lane)) return undefined;
    reserved.add(lane);
    const starting = journal.started(key);
    starting.catch(() => undefined); // whoever waits for its turn hears of it
    begun.set(keyText(key), starting);
    // Behind the journal's own, which has given the sync to another thread by then.
    setImmediate(() => {
      if (!detach.signal.aborted) options.ahead?.(entry);
    });
    return lane;
  }

  return {
    accept: async (key, command) => {
      if (hasLiveOrphan(key)) return "attempt-alive";
      const isKnown = journal.entry(key) !== undefined;
      const accepting = journal.accept(key, command);
      const lane = isKnown ? undefined : startAlong(key);
      try {
        const answer = await accepting;
        const entry = journal.entry(key);
        if (answer === "accepted" && entry) enqueue(entry);
        if (answer === "cancelled" && entry) options.onEnded?.(entry);
        return answer;
      } catch (error) {
        if (lane !== undefined) begun.delete(keyText(key));
        throw error;
      } finally {
        if (lane !== undefined) reserved.delete(lane);
      }
    },
    cancel: async (key, reason) => {
      const text = keyText(key);
      await journal.tombstone(key, reason);
      const entry = journal.entry(key);
      running.get(text)?.cancel.abort(reason);
      // Started by a former agent, it must be looked for and stopped: that is its turn's work.
      if (entry === undefined || (entry.state !== "RECEIVED" && !begun.has(text))) return;
      if (!waiting.delete(text)) return;
      begun.delete(text);
      await end(key, neverStartedResult(entry));
      tellIdle();
    },
    open: () => waiting.size + running.size,
    openEntries: () =>
      [...waiting.values(), ...[...running.values()].map(({ key }) => key)].flatMap(
        (key) => journal.entry(key) ?? [],
      ),
    idle: () =>
      waiting.size + running.size === 0
        ? Promise.resolve()
        : new Promise((resolve) => idle.push(resolve)),
    close: async () => {
      detach.abort(new Error("the agent stops"));
      await Promise.all(lanes.values());
    },
  };
}
