import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { startMariadbEngine } from "./mariadb-engine.js";
import { runEngine } from "./run-engine.js";

// The same on MySQL and on a Galera cluster takes minutes, root and packages: `npm run databases`.
describe("two command-stores on one MariaDB", () => {
  it("should lose nothing that was acknowledged when it is killed and started again under load", async () => {
    const engine = await startMariadbEngine();
    try {
      const { wrong, tasks, errors } = await runEngine(engine, 2_000);
      assert.deepEqual(wrong, []);
      assert.ok(tasks > 0);
      assert.ok((errors.get("Unavailable") ?? 0) > 0, "the kill was not noticed");
    } finally {
      await engine.stop();
    }
  });
});
