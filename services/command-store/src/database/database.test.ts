import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openTestDatabase } from "../testing/database.js";
import { parseDatabaseUrl } from "./database.js";
import { reasonOf } from "./database-errors.js";
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

describe("execute()", () => {
  it("should not repeat a statement's values in its error", async () => {
    const database = await openTestDatabase({ empty: true });
    try {
      await assert.rejects(
        execute(database.db, "insert into nowhere (a) values (?)", ["hidden"]),
        (error: Error) => {
          assert.doesNotMatch(JSON.stringify({ ...error, message: error.message }), /hidden/);
          assert.match(reasonOf(error), /^Table .*nowhere' doesn't exist$/);
          return true;
        },
      );
    } finally {
      await database.close();
    }
  });
});
