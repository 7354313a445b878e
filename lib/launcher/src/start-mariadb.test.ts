import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { createConnection, type RowDataPacket } from "mysql2/promise";
import { createDatabase } from "./create-database.js";
import { FolderInUseError } from "./folder-lock.js";
import { findMariadbd, MariadbMissingError } from "./mariadb-program.js";
import { identify } from "./process-identity.js";
import { type Mariadb, startMariadb } from "./start-mariadb.js";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "howdah-mariadb-"));
});
after(() => rm(folder, { recursive: true, force: true }));

async function query(url: string, sql: string): Promise<RowDataPacket[]> {
  const connection = await createConnection(url);
  try {
    const [rows] = await connection.query<RowDataPacket[]>(sql);
    return rows;
  } finally {
    await connection.end();
  }
}

async function using(
  options: Partial<Parameters<typeof startMariadb>[0]>,
  body: (mariadb: Mariadb) => Promise<void>,
): Promise<void> {
  const dataDir = join(folder, "shared");
  const mariadb = await startMariadb({ dataDir, durable: false, ...options });
  try {
    await body(mariadb);
  } finally {
    await mariadb.stop();
  }
}

describe("startMariadb()", () => {
  it("should make a database, answer on its URL, and stop", async () => {
    await using({}, async ({ url, pid }) => {
      assert.deepEqual(await query(url, "select database() as name"), [{ name: "howdah" }]);
      const mine = await createDatabase(url, "test_1");
      assert.deepEqual(await query(mine, "select database() as name"), [{ name: "test_1" }]);
      await createDatabase(url, "test_1"); // there already
      assert.ok(await identify(pid));
    });
  });

  it("should let nobody in without the password, neither over TCP nor as root", async () => {
    await using({}, async ({ url, port }) => {
      for (const user of ["root", "howdah", "nobody"]) {
        const login = createConnection({ host: "127.0.0.1", port, user });
        await assert.rejects(login, /Access denied/, user);
      }
      const empty = await query(
        url,
        "select user from mysql.user where authentication_string = '' and plugin = 'mysql_native_password' and user <> 'mariadb.sys'",
      );
      assert.deepEqual(empty, []);
    });
  });

  it("should refuse a folder that a living process uses, in one sentence", async () => {
    await using({}, async () => {
      const second = startMariadb({ dataDir: join(folder, "shared"), durable: false });
      await assert.rejects(second, FolderInUseError);
    });
  });

  it("should keep every acknowledged commit through kill -9 of the server when durable", async () => {
    const dataDir = join(folder, "durable");
    await using({ dataDir, durable: true }, async (mariadb) => {
      const settings = await query(
        mariadb.url,
        "select @@innodb_flush_log_at_trx_commit as flush, @@innodb_log_file_size as size",
      );
      assert.deepEqual(settings, [{ flush: 1, size: 256 * 1024 * 1024 }]);
      await query(mariadb.url, "create table kept (n int primary key)");
      await query(mariadb.url, "insert into kept values (1), (2)");
      await mariadb.kill();
    });
    await using({ dataDir, durable: true }, async ({ url }) => {
      assert.deepEqual(await query(url, "select count(*) as n from kept"), [{ n: 2 }]);
    });
  });

  it("should shut down a server that a killed launcher left on the folder, also found by another path", async () => {
    const dataDir = join(folder, "left");
    let args: string[] = [];
    await using({ dataDir }, async ({ url, pid }) => {
      await query(url, "create table kept (n int)");
      args = (await readFile(`/proc/${pid}/cmdline`, "utf8")).split("\0").slice(0, -1);
    });
    // The same server again, but nobody's child and without a lock: what `kill -9` of launcher and guard leaves.
    const left = spawn(args[0] as string, args.slice(1), { detached: true, stdio: "ignore" });
    const ended = once(left, "exit");
    await symlink(dataDir, join(folder, "alias"));
    const lines: string[] = [];
    await using({ dataDir: join(folder, "alias"), log: (line) => lines.push(line) }, async (db) => {
      await ended;
      await query(db.url, "select * from kept");
      assert.match(lines[0] ?? "", new RegExp(`stopping mariadbd ${left.pid}, `));
    });
  });

  it("should not share the folder for temporary files with the servers beside it", async () => {
    await using({}, async ({ url }) => {
      const connection = await createConnection(url);
      try {
        await connection.query("create temporary table scratch (n int) engine = Aria");
        await using({ dataDir: join(folder, "beside") }, async () => {});
        await connection.query("insert into scratch values (1)");
        const [rows] = await connection.query("select @@tmpdir as tmp");
        assert.deepEqual(rows, [{ tmp: join(folder, "shared", "tmp") }]);
      } finally {
        await connection.end();
      }
    });
  });

  it("should begin anew when it was killed while the database was being made", async () => {
    const dataDir = join(folder, "half");
    await mkdir(join(dataDir, "data.new", "mysql"), { recursive: true });
    await mkdir(join(dataDir, "data"));
    await using({ dataDir }, async ({ url }) => {
      assert.deepEqual(await query(url, "select 1 as one"), [{ one: 1 }]);
    });
  });

  it("should say that a fixed port is taken, and leave nothing running", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    await assert.rejects(
      using({ port }, async () => {}),
      /mariadbd ended with exit code 1.*Bind on TCP/s,
    );
    other.close();
    await using({ port }, async (mariadb) => assert.equal(mariadb.port, port));
  });

  it("should work in a folder too deep for a socket's path", async () => {
    const dataDir = join(folder, "d".repeat(120));
    await using({ dataDir }, async ({ url, socket }) => {
      assert.ok(socket.length < 108, socket);
      await query(url, "select 1");
      await rm(join(socket, ".."), { recursive: true });
    });
  });
});

describe("findMariadbd()", () => {
  it("should name the package when there is no server", () =>
    assert.rejects(findMariadbd(["", "/nowhere"]), (error) => {
      assert.ok(error instanceof MariadbMissingError);
      assert.match(error.message, /install the package mariadb-server-core/);
      return true;
    }));
});
