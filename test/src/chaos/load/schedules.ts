import { Concurrency } from "@howdah/proto/howdah/v1/operation";
import { OverlapPolicy } from "@howdah/proto/howdah/v1/schedule";
import type { AskedSchedule } from "../check/history.js";
import type { Random } from "../random.js";
import type { LoadGround } from "./operation-kinds.js";
import type { Operators } from "./operators.js";

/** The schedules of a run. */
export interface Schedules {
  /** Pauses them for good, and says how they stand then. */
  stop(): Promise<AskedSchedule[]>;
}

const everySeconds = 15;
const count = 2;

/** Makes schedules that each run a short command line on two hosts, several times a minute, beside all else. */
export async function startSchedules(
  operators: Operators,
  { hosts, command }: LoadGround,
  random: Random,
): Promise<Schedules> {
  const made: Omit<AskedSchedule, "pausedAt" | "lastDueAt" | "lastRequestId">[] = [];
  for (let n = 1; n <= count; n += 1) {
    const name = `chaos-${n}`;
    const argv = ["/bin/sh", command, "0.1", "3", "0"];
    const value = { argv, hosts: { names: random.some(hosts, 2) }, timeout: { seconds: 300n } };
    const { schedule } = await operators.insist(({ schedules }) =>
      schedules.putSchedule({
        spec: {
          name,
          operation: { kind: { case: "adHoc", value } },
          options: { concurrency: Concurrency.PARALLEL },
          cron: `*/${everySeconds} * * * * *`,
          overlap: OverlapPolicy.RUN,
        },
      }),
    );
    const scheduleId = Number(schedule?.scheduleId);
    made.push({ name, scheduleId, everyMs: everySeconds * 1_000, madeAt: Date.now() });
  }
  return {
    stop: () =>
      Promise.all(
        made.map(async (one) => {
          const { name } = one;
          await operators.insist(({ schedules }) =>
            schedules.setScheduleEnabled({ name, enabled: false }),
          );
          const pausedAt = Date.now();
          const { schedule } = await operators.insist(({ schedules }) =>
            schedules.getSchedule({ name }),
          );
          const { lastDueAt, lastRequestId } = schedule ?? {};
          return {
            ...{ ...one, pausedAt },
            lastDueAt: Number(lastDueAt?.seconds ?? 0n) * 1_000,
            lastRequestId: Number(lastRequestId ?? 0n),
          };
        }),
      ),
  };
}
