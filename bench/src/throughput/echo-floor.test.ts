import assert from "node:assert/strict";
import { it } from "node:test";
import { startEchoFloor } from "./echo-floor.js";

it("a bare echo sends each message back once, on each of its connections, and its process ends with it", async (t) => {
  const echo = await startEchoFloor(t, 3, 1_024);
  // Fewer than may be on their way, and more.
  for (const count of [1, 12, 100]) assert.ok((await echo.roundTrips(count)) > 0);
});
