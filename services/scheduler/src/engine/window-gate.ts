import type { RequestRun } from "./request-run.js";

/** A maintenance window: when it is open, in milliseconds since 1970. */
export interface Window {
  /** The opening at a time, or else the next one; undefined when there is none any more. */
  openingAt(nowMs: number): { readonly opensMs: number; readonly closesMs: number } | undefined;
}

// A timer may be no longer than 24.8 days, and the clock may be set meanwhile.
const longestSleepMs = 60_000;

/**
 * Keeps requests that name a maintenance window from releasing while it is shut. Windows are known by wall time, this machine's. A window
 * that is not known, or not yet, is shut.
 */
export class WindowGate {
  private windows: ReadonlyMap<string, Window> = new Map();
  private known = false;
  private readonly runs = new Set<RequestRun>();
  private timer: NodeJS.Timeout | undefined;
  private timerAtMs = 0;

  /** @param changed called with a request whose window has opened or shut */
  constructor(
    private readonly changed: (run: RequestRun) => void,
    private readonly now: () => number = Date.now,
  ) {}

  /** The windows, by name, are these from now on. */
  setWindows(windows: ReadonlyMap<string, Window>): void {
    this.windows = windows;
    this.known = true;
    this.look(this.runs);
  }

  /** Takes in a request. */
  add(run: RequestRun): void {
    if (run.options.window === "") return;
    this.runs.add(run);
    this.look([run]);
  }

  /** Forgets a request. */
  remove(run: RequestRun): void {
    this.runs.delete(run);
  }

  /** Ends its timer. */
  stop(): void {
    this.runs.clear();
    clearTimeout(this.timer);
  }

  /** What a request waits for while its window is shut, in words. */
  waitsFor({ options: { window: name } }: RequestRun): string {
    if (!this.known) return `the scheduler has not read yet when window ${name} is open`;
    const window = this.windows.get(name);
    if (window === undefined) {
      return `its window ${name} does not exist any more: make it again, or cancel the request`;
    }
    const opening = window.openingAt(this.now());
    if (opening === undefined) return `window ${name} is shut and never opens again`;
    const [opens, closes] = [opening.opensMs, opening.closesMs].map((ms) => spokenTime(ms));
    return `window ${name} is shut until ${opens}, and open then until ${closes}`;
  }

  private look(runs: Iterable<RequestRun>): void {
    const now = this.now();
    const states = new Map<string, { isOpen: boolean; untilMs: number }>();
    for (const run of runs) {
      const name = run.options.window;
      const state = states.get(name) ?? this.stateOf(name, now);
      states.set(name, state);
      this.wakeAt(state.untilMs, now);
      if (run.windowShut !== state.isOpen) continue;
      run.windowShut = !state.isOpen;
      this.changed(run);
    }
  }

  private stateOf(name: string, now: number): { isOpen: boolean; untilMs: number } {
    const opening = this.windows.get(name)?.openingAt(now);
    if (opening === undefined) return { isOpen: false, untilMs: Number.POSITIVE_INFINITY };
    const isOpen = opening.opensMs <= now;
    return { isOpen, untilMs: isOpen ? opening.closesMs : opening.opensMs };
  }

  private wakeAt(atMs: number, now: number): void {
    const due = Math.min(atMs, now + longestSleepMs);
    if (this.timer !== undefined && this.timerAtMs <= due) return;
    clearTimeout(this.timer);
    this.timerAtMs = due;
    this.timer = setTimeout(
      () => {
        this.timer = undefined;
        this.look(this.runs);
      },
      Math.max(1, due - now),
    );
    this.timer.unref();
  }
}

/** "2026-11-22T03:00:00Z": the scheduler does not know the reader's time zone. */
function spokenTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}
