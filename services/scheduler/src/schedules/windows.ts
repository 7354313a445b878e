import { durationMs } from "@bufbuild/protobuf/wkt";
import type { MaintenanceWindow } from "@howdah/proto/howdah/v1/schedule";
import type { Window } from "../engine/window-gate.js";
import { CronError, cronTimes } from "./due-times.js";
import type { RunDueOptions } from "./run-due.js";
import { Turns } from "./turns.js";
import { openingAt } from "./window-times.js";

/** The maintenance windows while this scheduler leads: tells the engine of them, makes the changes that people ask for. */
export class Windows {
  private readonly turns = new Turns();

  constructor(private readonly options: Pick<RunDueOptions, "store" | "token" | "engine">) {}

  /** Reads all of them, for the engine. */
  read(signal: AbortSignal): Promise<void> {
    // In turn: else what was read first might be told last.
    return this.turns.take("", async () => {
      const { store, engine } = this.options;
      const { windows } = await store.readWindows({}, { signal });
      engine.setWindows(new Map(windows.map((window) => [window.name, engineWindow(window)])));
    });
  }

  /** Stores a window that was checked. */
  async put(window: MaintenanceWindow, signal: AbortSignal): Promise<void> {
    const { store, token: schedulerToken } = this.options;
    await store.storeWindow({ schedulerToken, window }, { signal });
    await this.read(signal);
  }

  /** Deletes a window that nothing needs. */
  async remove(name: string, signal: AbortSignal): Promise<void> {
    const { store, token: schedulerToken } = this.options;
    await store.removeWindow({ schedulerToken, name }, { signal });
    await this.read(signal);
  }
}

/** A window as the engine knows it; shut for good when its cron line or time zone can be read no more. */
function engineWindow({ cron, timeZone, duration }: MaintenanceWindow): Window {
  try {
    const starts = cronTimes(cron, timeZone);
    const ms = duration === undefined ? 0 : durationMs(duration);
    return { openingAt: (nowMs) => openingAt(starts, ms, nowMs) };
  } catch (error) {
    if (error instanceof CronError) return { openingAt: () => undefined };
    throw error;
  }
}
