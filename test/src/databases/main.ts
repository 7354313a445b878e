// `npm run databases`: the store on each engine that it supports, with a node killed and started again under load.
import { parseArgs } from "node:util";
import { CannotRunError, type Engine } from "./engine.js";
import { startGaleraEngine } from "./galera-engine.js";
import { startMariadbEngine } from "./mariadb-engine.js";
import { startMysqlEngine } from "./mysql-engine.js";
import { type Report, runEngine } from "./run-engine.js";

const engines: Readonly<Record<string, () => Promise<Engine>>> = {
  mariadb: startMariadbEngine,
  mysql: startMysqlEngine,
  galera: startGaleraEngine,
};
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: "string", default: "10" } },
});
const names = positionals.length === 0 ? Object.keys(engines) : positionals;
const seconds = Number(values.seconds);
const unknown = names.find((name) => engines[name] === undefined);
if (unknown !== undefined || !(seconds >= 1)) {
  process.stderr.write(
    "usage: npm run databases -- [mariadb] [mysql] [galera] [--seconds N]\nN is how long each of the three phases is (10)\n",
  );
  process.exit(2);
}
const say = (line: string) => process.stdout.write(`${line}\n`);

for (const name of names) {
  let engine: Engine | undefined;
  try {
    engine = await engines[name]?.();
    if (engine === undefined) continue;
    tell(engine, await runEngine(engine, seconds * 1000));
  } catch (error) {
    if (!(error instanceof CannotRunError)) throw error;
    say(`${name}: skipped, ${error.message}`);
  } finally {
    await engine?.stop();
  }
}

function tell(engine: Engine, report: Report): void {
  const { requests, tasks, calls, tasksPerSecond, errors, outageMs, restartMs, wrong } = report;
  const seen = [...errors].map(([code, count]) => `${count} ${code}`).join(", ") || "none";
  say(
    `${engine.name}: ${requests} requests, ${tasks} tasks, ${calls} calls answered, ${tasksPerSecond.toFixed(0)} tasks/s before the kill`,
  );
  say(
    `  killed ${engine.victim}: nobody was answered for ${(outageMs / 1000).toFixed(1)} s; it served again ${(restartMs / 1000).toFixed(1)} s after its start; errors that callers saw: ${seen}`,
  );
  if (wrong.length === 0) say("  counters equal the rows, nothing acknowledged was lost");
  for (const line of wrong.slice(0, 20)) say(`  WRONG: ${line}`);
  if (wrong.length > 0) process.exitCode = 1;
}
