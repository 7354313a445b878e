import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import type { Schedule, ScheduleSpec, ScheduleSpecSchema } from "@howdah/proto/howdah/v1/schedule";
import { ScheduleService } from "@howdah/proto/howdah/v1/schedule_service";
import { createRpcServer } from "@howdah/rpc/server";
import { connectService } from "@howdah/service/connect-service";
import { type KnownSchedule, knownSchedule } from "../schedules/known-schedule.js";
import type { RunDueOptions } from "../schedules/run-due.js";
import { createScheduleService } from "../schedules/schedule-service.js";
import { Schedules } from "../schedules/schedules.js";
import { StackCache } from "../stack-cache.js";
import { run, serve } from "./service.js";

/** A schedule to be put. */
export type SpecInit = Exclude<MessageInitShape<typeof ScheduleSpecSchema>, ScheduleSpec>;

/** A schedule that runs `true` on host h1. */
export function spec(name: string, more: SpecInit = {}): SpecInit {
  return { name, cron: "0 3 * * *", operation: run(["h1"], "true"), ...more };
}

/** The schedule service over a store in memory, and a wall clock that the test sets. */
export async function scheduling(t: TestContext) {
  const { world, store } = await serve(t, { standby: true });
  const { engine } = await world.scheduler();
  const clients = world.clients();
  const clock = { aheadMs: 0 };
  const sources = {
    ...{ store: clients.store, fleet: clients.fleet, stacks: new StackCache(clients.stacks) },
  };
  const now = () => Date.now() + clock.aheadMs;
  const options: RunDueOptions = { ...sources, engine, token: 1n, latenessMs: 60_000, now };

  /** Runs what is due from now on, as a scheduler that leads with this token. */
  function lead(more: Partial<RunDueOptions> = {}) {
    const schedules = new Schedules({ ...options, ...more, log: world.log });
    const stopping = new AbortController();
    const ended = schedules.run(stopping.signal);
    const stop = async () => {
      stopping.abort();
      await ended;
    };
    world.cleanup(stop);
    return { schedules, stop };
  }

  const first = lead();
  const leading: { schedules: Schedules | undefined } = { schedules: first.schedules };
  const server = createRpcServer({ name: "scheduler", log: world.log, drainGraceMs: 100 });
  const service = createScheduleService({ ...sources, leading: () => leading.schedules, now });
  const address = await server.add(ScheduleService, service).listen("127.0.0.1:0");
  const transport = connectService({ address });
  world.cleanup(() => server.drain());
  world.cleanup(() => transport.close());
  const client = createClient(ScheduleService, transport);

  return {
    ...{ world, store, client, options, clock, lead, leading, first },
    /** A schedule as it is stored. */
    known(name: string): KnownSchedule {
      const row = store.schedules.rows.get(name);
      assert.ok(row, `there is no schedule ${name}`);
      return knownSchedule(row);
    },
    async get(name: string): Promise<Schedule> {
      const { schedule } = await client.getSchedule({ name });
      assert.ok(schedule);
      return schedule;
    },
    /** The keys of all requests that were made, in order. */
    keys: () => [...store.requests.values()].map(({ request }) => request.idempotencyKey),
    /** Ends a request well. */
    finish(requestId: bigint) {
      const stored = store.stored(requestId);
      stored.request.progressPercent = 100;
    },
  };
}
