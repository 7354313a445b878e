// `npm run history`: what a store costs that has ten million finished tasks.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openDatabase } from "@howdah/command-store/database/database";
import { migrate } from "@howdah/command-store/database/migrate";
import { silent } from "@howdah/command-store/testing/database";
import { measureHotCalls } from "@howdah/command-store/testing/hot-calls";
import { makePattern, multiplyHistory } from "@howdah/command-store/testing/make-history";
import { startStore } from "@howdah/command-store/testing/store";
import { bytesSpoken, readSizes } from "@howdah/command-store/testing/table-sizes";
import { createDatabase } from "@howdah/launcher/create-database";
import { startMariadb } from "@howdah/launcher/start-mariadb";

const help = `usage: npm run history -- [--tasks N] [--url mysql://USER:PASSWORD@HOST:PORT/DATABASE] [--keep]

Fills a database with N finished tasks (default 10000000), then says how large it is and what the calls of the hot paths cost
before and after. Default: a private MariaDB in a temporary folder, removed afterwards unless --keep. The database must be empty.
`;

const { values } = parseArgs({
  options: {
    tasks: { type: "string", default: "10000000" },
    url: { type: "string" },
    keep: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const tasks = Number(values.tasks);
const pattern = 10_000;
if (values.help || !Number.isInteger(tasks) || tasks < 2 * pattern) {
  const problem = values.help ? "" : `--tasks ${values.tasks}: give a number from ${2 * pattern}\n`;
  process.stderr.write(`${problem}${help}`);
  process.exit(values.help ? 0 : 2);
}

const say = (line: string) => process.stdout.write(`${line}\n`);
const seconds = (since: number) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

const server = await startServer();
try {
  const db = openDatabase({ url: server.url, log: silent });
  await migrate(db, silent);
  const store = await startStore(server.url, 1);
  try {
    await makePattern(store, { pattern });
    await measureHotCalls(store);
    const before = await measureHotCalls(store);
    const began = performance.now();
    let told = began;
    await multiplyHistory(db, {
      tasks,
      pattern,
      tell(count) {
        if (performance.now() - told < 10_000) return;
        told = performance.now();
        say(`${count} tasks after ${seconds(began)}`);
      },
    });
    say(`${tasks} tasks are there after ${seconds(began)}`);
    const sizes = await readSizes(db);
    for (const { table, rows, bytes } of sizes) {
      say(
        `  ${table.padEnd(24)}${String(rows).padStart(12)} rows ${bytesSpoken(bytes).padStart(10)}`,
      );
    }
    const bytes = sizes.reduce((sum, size) => sum + size.bytes, 0);
    say(`${bytesSpoken(bytes)} in all, ${Math.round(bytes / tasks)} bytes a task`);
    await measureHotCalls(store);
    const after = await measureHotCalls(store);
    say(
      "calls of a request of 100 tasks: rows looked at and time, with little and with much history",
    );
    for (const [n, { name, rows, ms }] of after.entries()) {
      const was = before[n];
      say(
        `  ${name.padEnd(24)}${String(was?.rows).padStart(7)} ${was?.ms.toFixed(1).padStart(7)} ms` +
          ` ${String(rows).padStart(9)} ${ms.toFixed(1).padStart(7)} ms`,
      );
    }
  } finally {
    await store.stop();
    await db.destroy();
  }
} finally {
  await server.stop();
}

async function startServer(): Promise<{ url: string; stop(): Promise<void> }> {
  if (values.url !== undefined) {
    const name = decodeURIComponent(new URL(values.url).pathname.slice(1));
    return { url: await createDatabase(values.url, name), stop: async () => {} };
  }
  const folder = await mkdtemp(join(tmpdir(), "howdah-history-"));
  // Durable: not for the data's sake, but for the buffers and the log of a real one.
  const mariadb = await startMariadb({ dataDir: folder, durable: true });
  return {
    url: mariadb.url,
    async stop() {
      await mariadb.stop(120_000);
      if (values.keep) say(`kept in ${folder}`);
      else await rm(folder, { recursive: true, force: true });
    },
  };
}
