import { create } from "@bufbuild/protobuf";
import { durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { type MaintenanceWindow, MaintenanceWindowSchema } from "@howdah/proto/howdah/v1/schedule";
import type { ScheduleService } from "@howdah/proto/howdah/v1/schedule_service";
import { invalidArgument } from "../invalid-argument.js";
import { NotLeadingError } from "../not-leading.js";
import { planChecked, type SubmitSources } from "../submit-request.js";
import { checkSpec, checkWindow } from "./check-schedule.js";
import { CronError, cronTimes } from "./due-times.js";
import { knownSchedule, scheduleView } from "./known-schedule.js";
import { noSchedule, type Schedules } from "./schedules.js";
import { openingAt } from "./window-times.js";

/** What the service needs. */
export interface ScheduleServiceOptions extends SubmitSources {
  /** The schedules, or undefined while another scheduler leads. */
  readonly leading: () => Schedules | undefined;
  /** The wall clock. Default: this machine's. */
  readonly now?: () => number;
}

/** Checks and plans what schedules are to run, and keeps it. Reads are answered by every scheduler. */
export function createScheduleService(
  options: ScheduleServiceOptions,
): Partial<ServiceImpl<typeof ScheduleService>> {
  const { store, now = Date.now } = options;

  const requireLeading = (): Schedules => {
    const schedules = options.leading();
    if (schedules !== undefined) return schedules;
    throw new NotLeadingError(
      "this scheduler stands by and another one leads, or is about to",
      "no",
    );
  };

  return {
    async putSchedule({ spec }, { signal }) {
      if (spec === undefined) throw invalidArgument("spec", "is not set");
      checkSpec(spec, now());
      const schedules = requireLeading();
      await planChecked(options, spec.operation, spec.options, signal);
      const { known, created } = await schedules.put(spec);
      return { schedule: scheduleView(known), created };
    },

    async getSchedule({ name }, { signal }) {
      if (name === "") throw invalidArgument("name", "is empty");
      const { schedules } = await store.readSchedules({ name }, { signal });
      const [stored] = schedules;
      if (stored === undefined) throw noSchedule(name);
      return { schedule: scheduleView(knownSchedule(stored)) };
    },

    async listSchedules(_, { signal }) {
      const { schedules } = await store.readSchedules({}, { signal });
      return { schedules: schedules.map((stored) => scheduleView(knownSchedule(stored))) };
    },

    async deleteSchedule({ name }) {
      if (name === "") throw invalidArgument("name", "is empty");
      await requireLeading().remove(name);
      return {};
    },

    async setScheduleEnabled({ name, enabled }) {
      if (name === "") throw invalidArgument("name", "is empty");
      return { schedule: scheduleView(await requireLeading().setEnabled(name, enabled)) };
    },

    async putWindow({ window }) {
      if (window === undefined) throw invalidArgument("window", "is not set");
      checkWindow(window, now());
      await requireLeading().putWindow(window);
      return { window: windowView(window, now()) };
    },

    async listWindows(_, { signal }) {
      const { windows } = await store.readWindows({}, { signal });
      return { windows: windows.map((window) => windowView(window, now())) };
    },

    async deleteWindow({ name }) {
      if (name === "") throw invalidArgument("name", "is empty");
      await requireLeading().removeWindow(name);
      return {};
    },
  };
}

/** A window as people see it: with whether it is open, and when. */
function windowView(window: MaintenanceWindow, nowMs: number): MaintenanceWindow {
  const { name, cron, timeZone, duration } = window;
  const view = create(MaintenanceWindowSchema, { name, cron, timeZone });
  if (duration !== undefined) view.duration = duration;
  try {
    const ms = duration === undefined ? 0 : durationMs(duration);
    const opening = openingAt(cronTimes(cron, timeZone), ms, nowMs);
    if (opening === undefined) return view;
    view.open = opening.opensMs <= nowMs;
    view.opensAt = timestampFromMs(opening.opensMs);
    view.closesAt = timestampFromMs(opening.closesMs);
  } catch (error) {
    if (!(error instanceof CronError)) throw error;
  }
  return view;
}
