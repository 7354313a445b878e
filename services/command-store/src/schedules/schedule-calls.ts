import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";

/** The calls about schedules and maintenance windows. */
export type ScheduleCalls = Pick<
  ServiceImpl<typeof CommandStoreService>,
  | "storeSchedule"
  | "readSchedules"
  | "recordSchedule"
  | "removeSchedule"
  | "storeWindow"
  | "readWindows"
  | "removeWindow"
>;

/** Keeps schedules and maintenance windows. */
export function scheduleCalls(): ScheduleCalls {
  const notBuilt = () => {
    throw new ConnectError("schedules are not kept yet", Code.Unimplemented);
  };
  return {
    storeSchedule: notBuilt,
    readSchedules: notBuilt,
    recordSchedule: notBuilt,
    removeSchedule: notBuilt,
    storeWindow: notBuilt,
    readWindows: notBuilt,
    removeWindow: notBuilt,
  };
}
