import assert from "node:assert/strict";
import { test } from "node:test";
import { connectService } from "@howdah/service/connect-service";
import { Dispatchers, type DispatchersEvents } from "./dispatchers.js";
import { eventually } from "./testing/eventually.js";
import { World } from "./testing/world.js";

const lookMs = 20;

test("leases are looked at two times instead of three while every dispatcher is in reach, and there is one", async (t) => {
  const world = await World.start(t);
  const { store } = world.clients();
  let looks: number[] = [];
  const ignore = () => undefined;
  const events: DispatchersEvents = {
    ...{ sessions: ignore, outOfReach: ignore, opened: ignore, closed: ignore, changed: ignore },
    ...{ undelivered: ignore, refused: ignore, superseded: ignore },
    storeHeard: () => void looks.push(performance.now()),
  };
  const connect = (address: string) => connectService({ address });
  const dispatchers = new Dispatchers({ store, token: 1n, log: world.log, connect, lookMs });
  const stop = new AbortController();
  const following = dispatchers.follow(events, stop.signal);
  world.cleanup(async () => {
    stop.abort();
    await following;
  });
  /** The shortest time between two of the next looks: what the machine does besides only makes some longer. */
  const shortest = async () => {
    looks = [];
    await eventually("twenty looks", () => looks.length > 20);
    return Math.min(...looks.slice(1).map((at, n) => at - (looks[n] ?? 0)));
  };
  const long = 1.5 * lookMs - 1;
  assert.ok((await shortest()) < long, "there is no dispatcher");
  const one = await world.dispatcher("dispatcher/d1");
  const other = await world.dispatcher("dispatcher/d2");
  await eventually("both are in reach", async () => (await shortest()) >= long);
  await other.stop();
  assert.ok((await shortest()) < long, "one is out of reach");
  await one.stop();
});
