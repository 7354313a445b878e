import { randomBytes } from "node:crypto";
import { createDatabase } from "@howdah/launcher/create-database";
import { createConnection } from "mysql2/promise";

/** A database of a test's own. */
export interface OwnDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

/** Makes one on the server that HOWDAH_TEST_DATABASE_URL names; undefined when it names none: the launcher then starts its own. */
export async function ownDatabase(): Promise<OwnDatabase | undefined> {
  const server = process.env.HOWDAH_TEST_DATABASE_URL ?? "";
  if (server === "") return undefined;
  const name = `test_${randomBytes(6).toString("hex")}`;
  const url = await createDatabase(server, name);
  return {
    url,
    async drop() {
      const connection = await createConnection(url);
      try {
        await connection.query(`drop database ${name}`);
      } finally {
        await connection.end();
      }
    },
  };
}
