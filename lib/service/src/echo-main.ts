// A small service for the tests of runService: what it does wrong is told by its settings.
import { setTimeout as delay } from "node:timers/promises";
import { createRpcServer } from "@howdah/rpc/server";
import { duration, oneOf, optionalText } from "./fields.js";
import { runService } from "./run-service.js";

await runService({
  name: "echo",
  listen: "127.0.0.1:0",
  config: {
    databaseUrl: optionalText(),
    stopTakesMs: duration("0s"),
    trouble: oneOf(["none", "hangs at start", "fails at start", "throws", "fails"], "none"),
  },
  async start({ name, config, log, metrics, signal, fail }) {
    if (config.trouble === "hangs at start") {
      log.info("hanging");
      await delay(60_000, undefined, { signal });
    }
    if (config.trouble === "fails at start") throw new TypeError("x is no function");
    const server = createRpcServer({
      name,
      log,
      listenOption: "HOWDAH_LISTEN",
      observe: metrics?.observe,
    });
    const main = await server.listen(config.listen);
    if (config.trouble === "throws") setImmediate(() => Promise.reject(new Error("unforeseen")));
    if (config.trouble === "fails") setImmediate(() => fail(new Error("lost its lease")));
    return {
      addresses: { main },
      async stop() {
        await server.drain();
        await delay(config.stopTakesMs);
      },
    };
  },
});
