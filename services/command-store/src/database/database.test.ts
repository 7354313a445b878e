import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, Socket } from "node:net";
import { describe, it } from "node:test";
import { openTestDatabase, silent } from "../testing/database.js";
import { openDatabase, parseDatabaseUrl } from "./database.js";
import { reasonOf } from "./database-errors.js";
import { executePrepared } from "./prepared.js";
import { execute } from "./query.js";

describe("parseDatabaseUrl()", () => {
  it("should read host, port, user, password and database", () => {
    assert.deepEqual(parseDatabaseUrl("mysql://ann:p%40ss@db.example:3307/howdah"), {
      host: "db.example",
      port: 3307,
      user: "ann",
      password: "p@ss",
      database: "howdah",
    });
    assert.deepEqual(
      parseDatabaseUrl("mysql://ann@localhost/howdah?socket=/run/db.sock&tls=true"),
      {
        socketPath: "/run/db.sock",
        user: "ann",
        password: "",
        database: "howdah",
        ssl: { rejectUnauthorized: true },
      },
    );
  });

  it("should refuse what is no such URL without repeating the password", () => {
    for (const url of [
      "postgres://ann:hidden@h/d",
      "mysql://ann:hidden@h",
      "hidden",
      "mysql://ann:hidden@h/a/b",
    ]) {
      assert.throws(
        () => parseDatabaseUrl(url),
        (error: Error) =>
          /^HOWDAH_DATABASE_URL: /.test(error.message) && !error.message.includes("hidden"),
      );
    }
  });
});

describe("openDatabase()", () => {
  it("should have the system look after connections on which nothing comes", async (t) => {
    const keepAlive = t.mock.method(Socket.prototype, "setKeepAlive");
    const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const db = openDatabase({ url: `mysql://ann@127.0.0.1:${port}/howdah`, log: silent });
    try {
      await assert.rejects(db.raw("select 1"));
      assert.deepEqual(keepAlive.mock.calls[0]?.arguments, [true, 10_000]);
    } finally {
      await db.destroy();
      server.close();
    }
  });
});

for (const run of [execute, executePrepared]) {
  describe(`${run.name}()`, () => {
    it("should not repeat a statement's values in its error", async () => {
      const database = await openTestDatabase({ empty: true });
      try {
        await run(database.db, "create table narrow (a varchar(3) not null)", []);
        for (const table of ["nowhere", "narrow"]) {
          const insert = run(database.db, `insert into ${table} (a) values (?)`, ["hidden"]);
          await assert.rejects(insert, (error: Error) => {
            const all = { ...error, message: error.message };
            assert.doesNotMatch(JSON.stringify(all), /hidden/);
            assert.match(reasonOf(error), /^(Table .*nowhere' doesn't exist|Data too long .*)$/);
            return true;
          });
        }
      } finally {
        await database.close();
      }
    });
  });
}
