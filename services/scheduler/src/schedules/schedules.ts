import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import type { MaintenanceWindow, ScheduleSpec } from "@howdah/proto/howdah/v1/schedule";
import { ScheduleOutcome } from "@howdah/proto/howdah/v1/schedule";
import type { Logger } from "pino";
import { type KnownSchedule, knownSchedule, nextDueMs } from "./known-schedule.js";
import { type RunDueOptions, recordSchedule, runDue } from "./run-due.js";
import { sameTimes } from "./schedule-times.js";
import { Turns } from "./turns.js";
import { whileLeading } from "./while-leading.js";
import { Windows } from "./windows.js";

/** What the schedules of a scheduler that leads need. */
export interface SchedulesOptions extends RunDueOptions {
  readonly log: Logger;
}

interface Entry {
  known: KnownSchedule;
  /** When there is something to do about it, when nothing has failed. */
  dueAtMs: number;
  /** When what failed is tried again; 0 when nothing did. */
  retryAtMs: number;
  pauseMs: number;
  busy: boolean;
}

// Also how often the clock is looked at again: it may be set, and a timer is at most 24.8 days long.
const refreshMs = 60_000;
const firstPauseMs = 200;
const longestPauseMs = 30_000;

/**
 * The schedules and maintenance windows while this scheduler leads: runs what is due, tells the engine when windows are open, and makes the
 * changes that people ask for. What concerns one schedule happens in turn. All is kept in the store, and read again each minute.
 */
export class Schedules {
  private readonly entries = new Map<string, Entry>();
  private readonly turns = new Turns();
  private readonly windows: Windows;
  private changes = 0;
  private wake: () => void = () => undefined;
  private readonly over = new AbortController();
  private readonly loaded: Promise<void>;
  private load: () => void = () => undefined;

  constructor(private readonly options: SchedulesOptions) {
    this.windows = new Windows(options);
    this.loaded = new Promise((resolve) => {
      this.load = resolve;
    });
  }

  /** Runs what is due until the signal aborts. Nothing of it goes on when it has settled. */
  async run(turn: AbortSignal): Promise<void> {
    const stop = () => {
      this.over.abort();
      this.wake();
    };
    turn.addEventListener("abort", stop, { once: true });
    if (turn.aborted) stop();
    const { signal } = this.over;
    let refreshAtMs = 0;
    try {
      while (!signal.aborted) {
        if (performance.now() >= refreshAtMs) {
          const isRead = await this.refresh();
          refreshAtMs = performance.now() + (isRead ? refreshMs : 1_000);
          if (isRead) this.load();
        }
        for (const entry of this.entries.values()) this.lookAt(entry);
        await this.sleepUntil(refreshAtMs);
      }
    } finally {
      turn.removeEventListener("abort", stop);
      stop();
      await this.turns.ended();
    }
  }

  /** Reads everything again; whether that worked. */
  private async refresh(): Promise<boolean> {
    const { store, log } = this.options;
    const { signal } = this.over;
    try {
      await this.windows.read(signal);
      const before = this.changes;
      const { schedules } = await store.readSchedules({}, { signal });
      // What people changed meanwhile is newer than what was read.
      if (before !== this.changes) return false;
      const found = new Set<string>();
      for (const stored of schedules) found.add(this.keep(knownSchedule(stored)).name);
      for (const [name, { busy }] of this.entries) {
        if (!found.has(name) && !busy) this.entries.delete(name);
      }
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      log.warn(`cannot read the schedules, will try again: ${ConnectError.from(error).rawMessage}`);
      return false;
    }
  }

  /** Takes in a schedule as the store has it, unless a newer version of it is known. */
  private keep(known: KnownSchedule): KnownSchedule {
    const { name, schedule } = known;
    const entry = this.entries.get(name);
    const { scheduleId, version } = entry?.known.schedule ?? {};
    if (entry === undefined || scheduleId !== schedule.scheduleId) {
      const dueAtMs = dueAt(known);
      this.entries.set(name, { known, dueAtMs, retryAtMs: 0, pauseMs: firstPauseMs, busy: false });
    } else if (schedule.version > (version ?? 0n)) {
      Object.assign(entry, { known, dueAtMs: dueAt(known) });
    }
    return known;
  }

  private lookAt(entry: Entry): void {
    if (entry.busy || wakeAt(entry) > this.options.now()) return;
    entry.busy = true;
    void this.turns
      .take(entry.known.name, () => this.runEntry(entry))
      .finally(() => {
        entry.busy = false;
        this.wake();
      });
  }

  private async runEntry(entry: Entry): Promise<void> {
    const { log, now } = this.options;
    const { signal } = this.over;
    const { name } = entry.known;
    if (signal.aborted || this.entries.get(name) !== entry) return;
    try {
      const known = await runDue(this.options, entry.known, signal);
      if (known === undefined) this.entries.delete(name);
      else {
        const isNews = known.schedule.version > entry.known.schedule.version;
        this.keep(known);
        if (isNews) this.tell(known);
      }
      Object.assign(entry, { retryAtMs: 0, pauseMs: firstPauseMs });
    } catch (error) {
      if (signal.aborted) return;
      const { code, rawMessage } = ConnectError.from(error);
      log.warn({ schedule: name, code: Code[code] }, `schedule not run yet: ${rawMessage}`);
      entry.retryAtMs = now() + entry.pauseMs;
      entry.pauseMs = Math.min(2 * entry.pauseMs, longestPauseMs);
      await this.reread(entry);
    }
  }

  /** It may have been recorded although the answer was lost. */
  private async reread(entry: Entry): Promise<void> {
    const { name } = entry.known;
    try {
      const known = await this.read(name);
      if (known === undefined) this.entries.delete(name);
      else this.keep(known);
    } catch {
      // Said above; the next try finds out.
    }
  }

  private tell({ name, schedule }: KnownSchedule): void {
    const { lastOutcomeText, lastRequestId: request } = schedule;
    this.options.log.info({ schedule: name, request }, `schedule was due: ${lastOutcomeText}`);
  }

  private async sleepUntil(refreshAtMs: number): Promise<void> {
    const { signal } = this.over;
    let sleepMs = refreshAtMs - performance.now();
    const now = this.options.now();
    for (const entry of this.entries.values()) {
      if (!entry.busy) sleepMs = Math.min(sleepMs, wakeAt(entry) - now);
    }
    if (signal.aborted) return;
    const woken = new AbortController();
    this.wake = () => woken.abort();
    await sleep(Math.max(1, sleepMs), undefined, { signal: woken.signal, ref: false }).catch(
      () => undefined,
    );
  }

  private async read(name: string): Promise<KnownSchedule | undefined> {
    const { signal } = this.over;
    const { schedules } = await this.options.store.readSchedules({ name }, { signal });
    const [stored] = schedules;
    return stored && knownSchedule(stored);
  }

  // What people ask for. Each throws NotLeadingError once this scheduler leads no more.

  /** Stores a schedule that was checked and planned; changes what there is of that name. */
  put(spec: ScheduleSpec): Promise<{ known: KnownSchedule; created: boolean }> {
    return this.ask(spec.name, async (before) => {
      const { store, token, now } = this.options;
      const { signal } = this.over;
      const isSame = before !== undefined && sameTimes(before.spec, spec);
      const { stored } = await store.storeSchedule(
        {
          schedulerToken: token,
          spec,
          version: before?.schedule.version ?? 0n,
          countedUntilMs: BigInt(isSame ? before.countedUntilMs : now()),
        },
        { signal },
      );
      if (stored === undefined) throw noSchedule(spec.name);
      return { known: this.keep(knownSchedule(stored)), created: before === undefined };
    });
  }

  /** Pauses a schedule, or lets it go on; due times that pass meanwhile do not count. */
  setEnabled(name: string, enabled: boolean): Promise<KnownSchedule> {
    return this.ask(name, async (before) => {
      if (before === undefined) throw noSchedule(name);
      const now = this.options.now();
      // Counted further than to now: when it was, the clock was wrong.
      const isAsWanted = before.schedule.enabled === enabled && before.countedUntilMs <= now;
      if (isAsWanted) return before;
      const change = { enabled, ...(enabled && { countedUntilMs: BigInt(now) }) };
      const known = await recordSchedule(this.options, before, change, this.over.signal);
      if (known === undefined) throw noSchedule(name);
      if (known.schedule.enabled !== enabled) {
        throw new ConnectError(`schedule ${name} has just been changed; try again`, Code.Aborted);
      }
      return this.keep(known);
    });
  }

  /** Deletes a schedule. */
  remove(name: string): Promise<void> {
    return this.ask(name, async () => {
      const { store, token: schedulerToken } = this.options;
      await store.removeSchedule({ schedulerToken, name }, { signal: this.over.signal });
      this.entries.delete(name);
    });
  }

  /** Stores a window that was checked. */
  putWindow(window: MaintenanceWindow): Promise<void> {
    const { signal } = this.over;
    return whileLeading(signal, () => this.windows.put(window, signal));
  }

  /** Deletes a window that nothing needs. */
  removeWindow(name: string): Promise<void> {
    const { signal } = this.over;
    return whileLeading(signal, () => this.windows.remove(name, signal));
  }

  /** Changes a schedule in its turn, knowing it as the store has it; not while it is unknown what became of a due time. */
  private ask<T>(
    name: string,
    change: (before: KnownSchedule | undefined) => Promise<T>,
  ): Promise<T> {
    return whileLeading(this.over.signal, async () => {
      await this.loaded;
      return this.turns.take(name, async () => {
        let before = await this.read(name);
        if (before?.schedule.lastOutcome === ScheduleOutcome.SUBMITTING) {
          before = await runDue(this.options, before, this.over.signal);
        }
        try {
          return await change(before);
        } finally {
          this.changes += 1;
          this.wake();
        }
      });
    });
  }
}

/** When there is something to do about a schedule. */
function dueAt(known: KnownSchedule): number {
  if (known.schedule.lastOutcome === ScheduleOutcome.SUBMITTING) return 0;
  return nextDueMs(known) ?? Number.POSITIVE_INFINITY;
}

/** The same, minding what has failed. */
function wakeAt({ dueAtMs, retryAtMs }: Entry): number {
  return Math.max(dueAtMs, retryAtMs);
}

/** The error of a schedule that does not exist. */
export function noSchedule(name: string): ConnectError {
  return new ConnectError(`there is no schedule ${name}`, Code.NotFound);
}
